"""Several processes on one machine: this command again, once a GPU, in torchrun's environment.

torchrun itself would do, but for how it ends: it turns every exit code into 1, and "preempted and
saved" (75) would be lost to whoever waits for it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from lookalike.cli.terminal import say
from lookalike.errors import UsageError

_PATIENCE: Final = 30.0  # seconds that the others get to end by themselves once one has failed
_POLL: Final = 0.1
_PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


def wanted_processes(asked: int | None, *, device: str) -> int:
    """Return how many processes to start: 1 where somebody has started several already.

    Args:
        asked: what the user said; none: one a GPU.
        device: what the user said, "auto" included.

    Raises:
        UsageError: fewer than one is asked for.
    """
    if "WORLD_SIZE" in os.environ:
        return 1
    if asked is not None:
        if asked < 1:
            raise UsageError(f"--processes must be at least 1, got {asked}")
        return asked
    if device not in ("auto", "cuda") or not any(Path("/dev").glob("nvidia[0-9]*")):
        return 1  # known without torch, which takes seconds to import
    import torch

    return max(torch.cuda.device_count(), 1)


def run_processes(count: int, words: Sequence[str]) -> int:
    """Run a command line in several processes that know of each other; return its exit code.

    Args:
        count: of processes.
        words: what follows the word lookalike.
    """
    port = _free_port()
    threads = os.environ.get("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // count, 1)))
    started = []
    for rank in range(count):
        place = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": count,
            "LOCAL_WORLD_SIZE": count,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "OMP_NUM_THREADS": threads,
        }
        environment = os.environ | {name: str(value) for name, value in place.items()}
        command = [sys.executable, "-m", "lookalike", *words]
        started.append(subprocess.Popen(command, env=environment))  # noqa: S603  ourselves again
    with _signals_passed_on(started):
        return _wait(started)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _signals_passed_on(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Send them what this process is sent, but for a Ctrl-C that the terminal gave them all."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and _is_in_foreground():
            return
        for process in processes:
            process.send_signal(number)

    heard = [each for each in _PASSED_ON if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Return whether the terminal sends its Ctrl-C to this process and to those it started."""
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for all; once one fails the others cannot go on, and are ended after a while."""
    deadline = None
    while any(process.poll() is None for process in processes):
        failed = any(process.returncode for process in processes)
        if failed and deadline is None:
            deadline = time.monotonic() + _PATIENCE
        if deadline is not None and time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(_POLL)
    codes = [process.returncode for process in processes]
    for rank, code in enumerate(codes):
        if code < 0:
            say(f"process {rank} of {len(codes)} was ended by {signal.Signals(-code).name}")
    first = next((code for code in codes if code > 0), None)  # the leader's, if it has one
    return first if first is not None else (128 - min(codes) if min(codes) < 0 else 0)
