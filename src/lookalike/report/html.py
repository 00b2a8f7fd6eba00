"""A run as one self-contained HTML file: it works from the disk, offline, and loads nothing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lookalike.durable import write_atomically
from lookalike.report.confusion import Confusion, sort_confusion
from lookalike.report.curves import monitor_charts, training_charts
from lookalike.report.exhibit import Exhibit
from lookalike.report.headline import tell, weigh
from lookalike.report.health import judge
from lookalike.report.pictures import views_picture
from lookalike.report.reading import RunRecord, read_run
from lookalike.report.template import encoded, render
from lookalike.report.verification import Verified, understand

UNREADABLE = 50  # listed; all are counted


def write_report(run: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a run folder; the same folder gives the same bytes.

    Args:
        run: folder that `lookalike train` wrote, finished or not.
        out: file to write, or a folder that gets `report.html` (default: inside the run folder).

    Returns:
        The file that was written.

    Raises:
        UsageError: the folder holds no run.
        LookalikeError: no space is left.
        OSError: the file cannot be written.
    """
    folder = Path(run)
    page = render_page(read_run(folder))
    target = folder if out is None else Path(out)
    if target.is_dir():
        target /= "report.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, encoded(page))
    return target


def render_page(record: RunRecord) -> str:
    """Return the HTML of a run."""
    evaluation = record.evaluation
    confusion, no_confusion = _confusion(record)
    monitors, curves = monitor_charts(record), training_charts(record)
    show = Exhibit.of(record.gallery) if record.gallery else None
    views, no_views = _views(record)
    verified, no_verified = _verified(record)
    return render(
        "page.html",
        headline=tell(record),
        version=record.run.get("lookalike", "?"),
        scores=weigh(evaluation, confusion) if evaluation else None,
        absence=record.absence,
        damaged=record.damaged,
        log=record.log,
        verdict=judge(record.monitors),
        monitors=monitors,
        curves=curves,
        views=views,
        no_views=no_views,
        show=show,
        no_show=(
            "The gallery holds a single image, which has no neighbours."
            if record.gallery
            else record.absence("gallery.npz")
        ),
        confusion=confusion,
        no_confusion=no_confusion,
        choices=_mappings(record.run.get("choices")),
        settings=flatten(record.resolved),
        environment=flatten(record.run.get("environment") or {}),
        unreadable=record.unreadable,
        unreadable_limit=UNREADABLE,
        command=command_line(record.run.get("command")),
        run_folder=shlex.quote(str(record.folder)),
        verified=verified,
        no_verified=no_verified,
        data={
            "charts": {chart.name: chart.points for chart in [*monitors, *curves]}
            | (verified.charts if verified else {}),
            "gallery": show.data if show else None,
        },
    )


def flatten(settings: object, prefix: str = "") -> list[tuple[str, str]]:
    """Return (dotted name, value in words) of every leaf of settings from JSON, in their order."""
    parts: Iterable[tuple[object, object]]
    if isinstance(settings, Mapping) and (settings or not prefix):
        parts = settings.items()
    elif isinstance(settings, list) and any(isinstance(each, Mapping) for each in settings):
        parts = enumerate(settings)
    elif isinstance(settings, list):
        return [(prefix, ", ".join(map(str, settings)) or "none")]
    else:
        return [(prefix, "none" if settings in (None, {}) else str(settings))]
    return [
        leaf
        for name, value in parts
        for leaf in flatten(value, f"{prefix}.{name}" if prefix else str(name))
    ]


def _confusion(record: RunRecord) -> tuple[Confusion | None, str]:
    """Return the sorted confusion matrix, or why there is none."""
    if record.evaluation is None:
        return None, record.absence("evaluation.json")
    counts, names = record.evaluation.get("confusion"), record.evaluation.get("class_names")
    if not counts or not names:
        return (
            None,
            "The evaluation has no confusion matrix: it needs labels, and not too many classes.",
        )
    try:
        return sort_confusion(counts, names), ""
    except (ValueError, TypeError) as problem:
        return None, f"The confusion matrix cannot be shown: {problem}."


def _verified(record: RunRecord) -> tuple[Verified | None, str]:
    """Return what verification says, or why it does not; "" where nobody asked it."""
    if record.verification is None:
        name = "verification.json"
        return None, record.absence(name) if name in record.damaged else ""
    try:
        return understand(record.verification), ""
    except ValueError as problem:
        return None, f"verification.json cannot be shown: {problem}."


def _views(record: RunRecord) -> tuple[tuple[str, int, int] | None, str]:
    """Return the picture of the views, or why there is none."""
    path = record.folder / "views.png"
    if not path.is_file():
        return None, record.absence(path.name)
    try:
        return views_picture(path), ""
    except (OSError, ValueError, SyntaxError) as problem:  # Pillow says all three of a bad PNG
        return None, f"{path.name} cannot be shown: {problem}."


def _mappings(rows: object) -> list[Mapping[str, Any]]:
    """Return those of the rows that can be read as named values."""
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def command_line(command: object) -> str:
    """Return what to type: the program by its name, not by where it was installed."""
    if not isinstance(command, list) or not command:
        return str(command or "")
    program, *arguments = (str(part) for part in command)
    names = (
        ["python", "-m", "lookalike"] if program.endswith("__main__.py") else [Path(program).name]
    )
    return shlex.join([*names, *arguments])
