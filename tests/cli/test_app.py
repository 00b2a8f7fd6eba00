"""How a command line ends: its exit code, and what is said about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lookalike
from lookalike import _check
from lookalike.cli import app
from lookalike.cli.app import main
from lookalike.cli.command import Command, Section
from lookalike.errors import DataError, PreemptedError, TrainingError, UsageError


def run(monkeypatch: pytest.MonkeyPatch, problem: BaseException | None, *words: str) -> int:
    """Return the exit code of a command that raises a problem."""

    def call() -> int:
        if problem is not None:
            raise problem
        return 0

    command = Command("check", "Check.", call, (), (Section("", "Options", {}),))
    monkeypatch.setattr(app, "read_command", lambda name, words: command)
    return main(["check", *words])


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (None, 0),
        (UsageError("no such folder\n  fix: another"), 2),
        (DataError("no images"), 3),
        (TrainingError("collapsed"), 4),
        (PreemptedError("saved"), 75),
        (PermissionError(13, "Permission denied", "/locked"), 1),
        (MemoryError(), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_end_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    problem: BaseException | None,
    code: int,
) -> None:
    assert run(monkeypatch, problem) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    word = "" if code == 0 else "interrupted: " if code in (75, 130) else "error: "
    assert said.startswith(word)


def test_what_an_argument_may_not_be_is_the_users_mistake() -> None:
    code = main(["train", "hands", "--method.temperature", "high"])
    assert code == UsageError.exit_code


def test_a_value_error_of_our_own_is_a_refusal_and_not_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="temperature") as refusal:
        _check.positive(temperature=-1.0)
    assert run(monkeypatch, refusal.value) == UsageError.exit_code
    assert capsys.readouterr().err == "error: temperature must be above 0, got -1.0\n"


def test_a_bug_is_said_to_be_ours_and_its_traceback_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run(monkeypatch, RuntimeError("shapes\ndiffer")) == 1
    said = capsys.readouterr().err
    assert said.startswith("internal error: RuntimeError: shapes\n")
    (kept,) = tmp_path.iterdir()
    assert str(kept) in said
    assert "Traceback" in kept.read_text()
    assert "shapes\ndiffer" in kept.read_text()


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, RuntimeError("shapes differ"), "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_of_several_processes_one_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert run(monkeypatch, DataError("no images")) == 3
    assert capsys.readouterr().err == ""


def test_a_wrong_command_gets_the_nearest_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian", "photos"]) == 2
    shown = capsys.readouterr()
    assert (
        shown.err == "error: trian is not a command. Did you mean train?  (all: lookalike --help)\n"
    )
    assert shown.out == ""


def test_a_wrong_option_gets_the_nearest_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "photos", "--optim.lrr", "1"]) == 2
    assert (
        capsys.readouterr().err == "error: --optim.lrr is not an option. Did you mean --optim.lr?"
        "  (all: lookalike train --help)\n"
    )


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["version"]])
def test_tells_its_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == f"lookalike {lookalike.__version__}\n"


def test_every_command_file_is_a_command() -> None:
    folder = Path(app.__file__).parent
    machinery = {"app", "command", "help", "parse", "processes", "terminal", "__init__"}
    files = {path.stem for path in folder.glob("*.py")} - machinery
    commands = {name for names in app.COMMANDS.values() for name in names}
    assert files == {name.replace("-", "_") for name in commands}


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", "--help"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
