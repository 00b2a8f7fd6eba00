"""What a person reads: colour where it shows, messages on stderr, numbers on stdout."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from lookalike.names import shown

_UNPRINTABLE = re.compile(r"[^ -~]+")  # and more, which `_escape` tells apart
_SURE = 3.0  # seconds after which a speed is told
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def paint(text: str, *styles: str, stream: TextIO | None = None) -> str:
    """Return a text in these styles; plain if the stream is no terminal, or with NO_COLOR."""
    if not text or not _is_colourful(stream or sys.stdout):
        return text
    codes = ";".join(_CODES[style] for style in styles)
    return f"\x1b[{codes}m{text}\x1b[0m"


def _is_colourful(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    """Return the columns to write in: the terminal's, at most 100."""
    return min(shutil.get_terminal_size().columns, 100)


def entry(left: str, right: str, *, column: int = 32) -> list[str]:
    """Return the lines of a name and what it is, in two columns; a long name gets its own line.

    Args:
        left: the name.
        right: what it is; wrapped.
        column: where the second column begins.
    """
    wrapped = textwrap.wrap(right, max(width() - column, 24)) or [""]
    gap = " " * column
    head = f"  {left} "
    if len(head) > column:
        return [head.rstrip(), *(gap + line for line in wrapped)]
    return [(head.ljust(column) + wrapped[0]).rstrip(), *(gap + line for line in wrapped[1:])]


def say(line: str, *, head: str = "", style: str = "") -> None:
    """Print a line for the person who watches, on stderr.

    Args:
        line: of which nothing but letters reaches the terminal, whatever the names in it are.
        head: a word of ours before it.
        style: of the head.
    """
    painted = f"{paint(head, style, stream=sys.stderr)} " if head else ""
    print(f"{painted}{shown(line)}", file=sys.stderr, flush=True)


def tell(lines: Iterable[str]) -> None:
    """Print the lines of a result on stdout; a name in one of them begins no line of its own."""
    for line in lines:
        print(shown(line))


def print_json(value: Any) -> None:
    """Print one JSON object for programs, on stdout; what does not print is escaped in it."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    print("\n".join(_UNPRINTABLE.sub(_escape, line) for line in text.split("\n")))


def _escape(letters: re.Match[str]) -> str:
    """Return letters as JSON writes them in ASCII, where none is printed as it is."""
    return "".join(
        each if each.isprintable() else json.dumps(each)[1:-1] for each in letters.group()
    )


class Counter:
    """A line that counts what is done: kept up to date on a terminal, now and then elsewhere.

    After a few seconds it tells how fast it goes, and how long it will take.

    Args:
        what: is counted.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._live = sys.stderr.isatty()
        self._pause = 0.1 if self._live else 10.0
        self._began = self._shown = time.monotonic()
        self._open = False

    def __enter__(self) -> Counter:
        """Begin to count."""
        return self

    def __call__(self, done: int, total: int) -> None:
        """Show that so many are done, unless the last time was a moment ago."""
        now = time.monotonic()
        if now - self._shown < self._pause:
            return
        self._shown = now
        line = f"{done:,} of {total:,} {self._what}"
        if now - self._began > _SURE and done:
            spent = now - self._began
            line += f"  {speed(done, spent)}  {_length((total - done) * spent / done)} to go"
        if self._live:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
            self._open = True
        else:
            say(line)

    def __exit__(self, *problem: object) -> None:
        """Clear the line."""
        if self._open:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def speed(count: int, seconds: float) -> str:
    """Return how many a second."""
    each = count / max(seconds, 1e-9)
    return f"{each:,.0f}/s" if each >= 10 else f"{each:.1f}/s"


def _length(seconds: float) -> str:
    """Return a length of time in its largest unit or two."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def finish(*written: Path | str, following: str) -> None:
    """Say what files were written and what command may come next."""
    for path in written:
        say(f" {path}", head="wrote", style="green")
    say(f"  {following}", head="next", style="cyan")


def say_left_out(source: object, left_out: Sequence[tuple[str, int]]) -> None:
    """Say which splits of a source were not asked for, and how to take them."""
    if left_out:
        counts = " and ".join(f"{count:,} of {split}" for split, count in left_out)
        say(f"left out are {counts}: {source}/{left_out[0][0]} takes those")
