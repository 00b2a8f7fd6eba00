"""A signal asks a run to stop: once to save first, twice to stop at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """Whether somebody has asked this process to stop.

    Inside the context a first Ctrl-C, SIGTERM or SIGUSR1 is only remembered; a second one acts as
    it always did. Outside the main thread signals are left alone.
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
            self._before = {each: signal.signal(each, self._remember) for each in STOPPING}
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
        self.name = signal.Signals(number).name
        self._give_back()

    def _give_back(self) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)  # type: ignore[arg-type]  # what signal.signal returned
        self._before = {}
