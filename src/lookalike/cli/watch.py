"""Watch a run in a terminal while it trains; reads its files and nothing else."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lookalike.cli.terminal import print_json, say
from lookalike.errors import UsageError
from lookalike.names import shown

if TYPE_CHECKING:
    from rich.console import Console

    from lookalike.report.standing import Standing

_REST: Final = 20  # times as long as reading took, at least: a long log is read less often


def watch(run: Path, *, every: float = 2.0, once: bool = False, json: bool = False) -> None:
    """Watch.

    Args:
        run: folder of a run, finished or not.
        every: seconds between two looks, > 0.
        once: look once; without a terminal it does anyway.
        json: print one JSON object of one look.
    """
    if not every > 0:
        raise UsageError(f"--every must be above 0, got {every:g}")
    from rich.console import Console

    from lookalike.report.standing import read_standing

    if json:
        print_json(read_standing(run).to_json())
        return
    console = Console(highlight=False)
    try:
        if console.is_terminal and not console.is_dumb_terminal and not once:
            standing = _follow(run, console, every)
        else:
            standing = read_standing(run)
            print(_screen(standing))
    except KeyboardInterrupt:
        return  # that is how one stops watching
    say(f"next   lookalike {'report' if standing.ended else 'watch'} {run}")


def _follow(run: Path, console: Console, every: float) -> Standing:
    """Show where a run stands, again and again, until it has ended."""
    from rich.live import Live
    from rich.text import Text

    from lookalike.report.standing import read_standing

    with Live(console=console, auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            standing = read_standing(run)
            live.update(Text(_screen(standing)), refresh=True)
            if standing.ended:
                return standing
            time.sleep(max(every, _REST * (time.monotonic() - began)))


def _screen(standing: Standing) -> str:
    """Return what to show, in characters that the terminal has."""
    from lookalike.report.standing import BLOCKS, PLAIN_BLOCKS

    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        BLOCKS.encode(encoding)
        blocks = BLOCKS
    except (UnicodeEncodeError, LookupError):
        blocks = PLAIN_BLOCKS
    lines = map(shown, standing.tell(width=shutil.get_terminal_size().columns, blocks=blocks))
    return "\n".join(lines).encode(encoding, "replace").decode(encoding)
