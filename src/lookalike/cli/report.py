"""Write a run down as one HTML file: curves, health, views, neighbours; works offline."""

from __future__ import annotations

from pathlib import Path

from lookalike.cli.terminal import finish, say


def report(run: Path, *, out: Path | None = None) -> None:
    """Report.

    Args:
        run: folder of a run, finished or not.
        out: file to write (default: report.html in the run's folder).
    """
    say(f"reading {run}")
    from lookalike.report.html import write_report

    written = write_report(run, out)
    finish(written, following=f"open {written} in a browser")
