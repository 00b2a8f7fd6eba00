"""What a person sees of a run: a bar on a terminal, plain lines elsewhere, and log.txt always."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from lookalike.names import shown

PLAIN_SECONDS = 10.0  # between two plain lines: often enough to watch, too seldom to flood a log


class Progress:
    """The running account of a run, on stderr and in a file.

    Args:
        log: file that every line is added to; none: no file.
        printing: whether anything is printed.
    """

    def __init__(self, log: Path | None, *, printing: bool = True) -> None:
        self._log = log
        self._printing = printing
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._printed = 0.0

    def __enter__(self) -> Progress:
        """Show the bar, where there is a terminal."""
        if self._console.is_terminal and self._printing:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        if self._live:
            with suppress(OSError):
                self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        """Print a line, and keep it; of the names in it nothing but letters."""
        line = shown(line)
        self._print(line)
        self._keep(line)

    def show(
        self,
        step: int,
        steps: int,
        facts: Mapping[str, str],
        *,
        noun: str = "step",
        now: bool = False,
    ) -> None:
        """Show where a long piece of work stands.

        Args:
            step: how much is done.
            steps: of how much.
            facts: short texts by name, such as `{"loss": "5.31"}`, in the order to show them.
            noun: what is counted.
            now: print a plain line even if the last one is recent.
        """
        line = "  ".join(
            [f"{noun} {step:,}/{steps:,}", *(f"{name} {text}" for name, text in facts.items())]
        )
        if self._live:
            row = Table.grid(padding=(0, 1))
            row.add_row(ProgressBar(total=steps, completed=step, width=24), line)
            self._live.update(row)
        if now or time.monotonic() - self._printed > PLAIN_SECONDS:
            self._printed = time.monotonic()
            if not self._live:
                self._print(line)
            self._keep(line)

    def _print(self, line: str) -> None:
        try:
            if self._live:
                self._live.console.print(line, markup=False)
            elif self._printing:
                print(line, file=sys.stderr, flush=True)
        except OSError:  # the terminal is gone, and the run shall be saved all the same
            self._printing = False

    def _keep(self, line: str) -> None:
        if self._log:
            with open(self._log, "a") as file:
                file.write(line + "\n")


def read_facts(line: str) -> tuple[int, int, dict[str, str]] | None:
    """Return step, steps and facts of a line that `Progress.show` wrote; none of another line."""
    start, *facts = line.strip().split("  ")
    counted = re.fullmatch(r"step ([\d,]+)/([\d,]+)", start)
    if counted is None:
        return None
    step, steps = (int(count.replace(",", "")) for count in counted.groups())
    return step, steps, {name: text for name, _, text in (fact.partition(" ") for fact in facts)}


def duration(seconds: float) -> str:
    """Return a length of time for people: 42 s, 3 min 10 s, 1 h 12 min, 2 d 5 h."""
    seconds = round(seconds)
    parts = [
        (seconds // 86400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    ]
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"
