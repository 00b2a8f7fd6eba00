"""`watch` looks once where nobody can see it move, follows on a terminal, and ends by itself."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from lookalike.cli.app import main


def begin(folder: Path, *, status: str = "running", steps: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    settings = {"method": "simclr", "backbone": "resnet18", "source": "hands"}
    record = {"status": status, "resolved": settings, "seconds": 5.0}
    (folder / "run.json").write_text(json.dumps(record))
    rows = [{"kind": "train", "step": step, "loss": 4 - step / 10} for step in range(1, steps + 1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_looks_once_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begin(tmp_path / "run")
    assert main(["watch", str(run)]) == 0
    shown = capsys.readouterr()
    assert "loss" in shown.out
    assert "\x1b" not in shown.out
    assert f"next   lookalike watch {run}" in shown.err
    begin(run, status="done")
    assert main(["watch", str(run), "--once"]) == 0
    assert f"next   lookalike report {run}" in capsys.readouterr().err


def test_prints_one_object_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(begin(tmp_path / "run")), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["step"], told["loss"]) == ("running", 3, 3.7)


def test_refuses_what_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(tmp_path)]) == 2
    assert main(["watch", str(begin(tmp_path / "run")), "--every", "0"]) == 2
    assert "--every must be above 0" in capsys.readouterr().err


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *words: str, **environment: str) -> None:
        self._screen, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lookalike", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "80"} | environment,
            # who runs the tests in the background lets them inherit a Ctrl-C that is ignored
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        os.close(theirs)
        self.shown = ""

    def wait_for(self, words: str) -> None:
        end = time.monotonic() + 60
        while words not in self.shown:
            assert time.monotonic() < end, self.shown
            if select.select([self._screen], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self._screen, 65536).decode(errors="replace")
                except OSError:  # nobody holds the other end any more
                    assert words in self.shown, self.shown

    def end(self) -> int:
        code = self.process.wait(60)
        os.close(self._screen)
        return code


def test_follows_on_a_terminal_until_the_run_has_ended(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    watch = Terminal("watch", str(run), "--every", "0.1")
    watch.wait_for("step 3")
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"kind": "train", "step": 4, "lo')
        file.flush()
        watch.wait_for("step 3")
        file.write('ss": 1.25}\n')
    watch.wait_for("1.25")
    begin(run, status="done", steps=9)
    watch.wait_for("step 9")
    watch.wait_for("lookalike report")
    assert watch.end() == 0


def test_a_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    watch = Terminal("watch", str(begin(tmp_path / "run")), "--every", "0.1")
    watch.wait_for("step 3")
    watch.process.send_signal(signal.SIGINT)
    watch.wait_for("\x1b[?25h")  # the cursor is back
    assert watch.end() == 0
    assert "Traceback" not in watch.shown


def test_a_terminal_without_blocks_gets_plain_letters(tmp_path: Path) -> None:
    watch = Terminal("watch", str(begin(tmp_path / "run")), "--once", PYTHONIOENCODING="ascii")
    watch.wait_for("lookalike watch")
    assert watch.end() == 0
    assert watch.shown.isascii()
