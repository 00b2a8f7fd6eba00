"""Several processes on one machine: each knows its place, and their end is the command's end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lookalike.cli.processes import wanted_processes
from lookalike.errors import UsageError

STAND_IN = """
import os, signal, sys, time
from pathlib import Path

folder, rank = Path(sys.argv[1]), os.environ.get("RANK")
if rank is None:
    from lookalike.cli import processes
    sys.exit(processes.run_processes(2, sys.argv[1:]))
{body}
"""


def run(tmp_path: Path, body: str) -> subprocess.Popen[bytes]:
    """Start two processes of a stand-in for the command, whose body is given."""
    package = tmp_path / "lookalike_stand_in"
    package.mkdir()
    (package / "__main__.py").write_text(STAND_IN.format(body=body))
    code = (
        "import subprocess, runpy, sys; real = subprocess.Popen\n"
        "def start(command, **more):\n"
        "    swapped = ['lookalike_stand_in' if w == 'lookalike' else w for w in command]\n"
        "    return real(swapped, **more)\n"
        "subprocess.Popen = start\n"
        f"sys.argv = ['lookalike', {str(tmp_path)!r}]\n"
        "runpy.run_module('lookalike_stand_in', run_name='__main__')\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, start_new_session=True
    )


def test_each_process_knows_its_place(tmp_path: Path) -> None:
    names = ("WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    body = f"(folder / rank).write_text(' '.join(os.environ[name] for name in {names}))"
    assert run(tmp_path, body).wait(30) == 0
    first, second = ((tmp_path / rank).read_text().split() for rank in "01")
    assert (first[:4], second[:4]) == (["2", "0", "2", "127.0.0.1"], ["2", "1", "2", "127.0.0.1"])
    assert first[4] == second[4]


def test_an_exit_code_comes_through(tmp_path: Path) -> None:
    assert run(tmp_path, "sys.exit(3 if rank == '1' else 0)").wait(30) == 3


def test_a_process_that_was_killed_is_a_failure(tmp_path: Path) -> None:
    body = "if rank == '1': os.kill(os.getpid(), signal.SIGKILL)"
    assert run(tmp_path, body).wait(30) == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_every_process_once(tmp_path: Path, number: signal.Signals) -> None:
    body = f"""
heard = []
signal.signal({int(number)}, lambda *_: heard.append(1))
(folder / f"ready-{{rank}}").touch()
deadline = time.monotonic() + 20
while not heard and time.monotonic() < deadline:
    time.sleep(0.01)
time.sleep(0.3)
(folder / rank).write_text(str(len(heard)))
sys.exit(75)
"""
    process = run(tmp_path, body)
    deadline = time.monotonic() + 20
    while len(list(tmp_path.glob("ready-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(30) == 75
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["1", "1"]


def test_one_process_where_somebody_started_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert wanted_processes(8, device="auto") == 1


def test_as_many_processes_as_asked_or_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert wanted_processes(3, device="auto") == 3
    assert wanted_processes(None, device="cpu") == 1
    with pytest.raises(UsageError, match="--processes must be at least 1, got 0"):
        wanted_processes(0, device="auto")
