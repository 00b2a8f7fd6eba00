"""Colour only where it shows, numbers on stdout, everything else on stderr."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from lookalike.cli import terminal


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_paints_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.paint("word", "bold", "red", stream=Screen()) == "\x1b[1;31mword\x1b[0m"
    assert terminal.paint("word", "bold", stream=io.StringIO()) == "word"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.paint("word", "bold", stream=Screen()) == "word"


def test_json_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"run": Path("runs/a"), "knn_top1": 0.5})
    assert json.loads(capsys.readouterr().out) == {"run": "runs/a", "knn_top1": 0.5}


def test_finish_names_what_was_written_and_what_comes_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal.finish(Path("a"), Path("b"), following="lookalike papers")
    shown = capsys.readouterr()
    assert shown.err == "wrote  a\nwrote  b\nnext   lookalike papers\n"
    assert shown.out == ""


def test_entries_stand_in_two_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert terminal.entry("--k", "one two three four five six seven", column=12) == [
        "  --k       one two three four five six",
        "            seven",
    ]
    assert terminal.entry("--a-long-name", "one", column=12) == [
        "  --a-long-name",
        " " * 12 + "one",
    ]


def test_a_count_is_kept_up_to_date_and_then_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, clock = Screen(), iter((0.0, 0.05, 0.2))
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with terminal.Counter("images") as count:
        count(1, 2000)  # too soon after the start
        count(1000, 2000)
    assert screen.getvalue() == "\r1,000 of 2,000 images\x1b[K\r\x1b[K"


@pytest.mark.parametrize(
    ("done", "told"),
    [(8000, "2,000/s  1 s to go"), (400, "100/s  24 s to go"), (10, "2.5/s  1 h 6 min to go")],
)
def test_after_a_while_a_count_tells_its_speed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], done: int, told: str
) -> None:
    clock = iter((0.0, 4.0))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(terminal, "_SURE", 3.0)
    counter = terminal.Counter("images")
    monkeypatch.setattr(counter, "_pause", 0.0)
    counter(done, {8000: 10_000, 400: 2800, 10: 10_000}[done])
    assert capsys.readouterr().err.endswith(f" images  {told}\n")
