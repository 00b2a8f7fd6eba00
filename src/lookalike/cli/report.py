"""Write a run down as one HTML file: curves, health, neighbours; or compare several."""

from __future__ import annotations

from pathlib import Path

from lookalike.cli.terminal import finish, say


def report(runs: tuple[Path, ...], *, out: Path | None = None) -> None:
    """Report.

    Args:
        runs: folder of a run, finished or not; of several, to compare them.
        out: file to write (default: report.html in the run's folder; of several, compare.html).
    """
    say(f"reading {', '.join(map(str, runs))}")
    if len(runs) == 1:
        from lookalike.report.html import write_report

        written = write_report(runs[0], out)
    else:
        from lookalike.report.compare import write_comparison

        written = write_comparison(runs, out or Path())
    finish(written, following=f"open {written} in a browser")
