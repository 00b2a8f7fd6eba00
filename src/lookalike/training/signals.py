"""A signal asks a run to stop: once to save first, twice to stop at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


class StopRequest:
    """Whether somebody has asked this process to stop.

    Inside the context a first Ctrl-C, SIGTERM, SIGUSR1 or SIGHUP is only remembered; a second one
    acts as it always did, but for SIGHUP: a terminal that closes sends it to every process, and
    these to each other. Where SIGHUP is ignored, as under nohup, it stays so. Outside the main
    thread signals are left alone.
    """

    def __init__(self) -> None:
        self.name = ""
        self._before: dict[signal.Signals, object] = {}

    def __bool__(self) -> bool:
        """Whether a signal has come."""
        return bool(self.name)

    def __enter__(self) -> StopRequest:
        """Start to listen."""
        if threading.current_thread() is threading.main_thread():
            ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            listened_to = [each for each in STOPPING if each != signal.SIGHUP or not ignored]
            self._before = {each: signal.signal(each, self._remember) for each in listened_to}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        self._give_back()

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.name = self.name or signal.Signals(number).name
        self._give_back(keep=signal.SIGHUP)

    def _give_back(self, *, keep: signal.Signals | None = None) -> None:
        for each in [each for each in self._before if each != keep]:
            signal.signal(each, self._before.pop(each))  # type: ignore[arg-type]  # its own
