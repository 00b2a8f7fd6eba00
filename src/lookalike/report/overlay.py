"""The curves of several runs in one chart each, over the epochs that all of them count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.report.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    SMOOTHED_SHARE,
    TOP,
    Scale,
    number,
    percent,
    running_mean,
    svg_path,
    thin,
)
from lookalike.report.health import RETRIEVAL
from lookalike.report.reading import RunRecord, is_number
from lookalike.report.verification_charts import Line, Panel

POINTS = 200  # drawn of a line at most: two pixels apart
CHARTS: Mapping[str, tuple[str, str]] = {
    "loss": ("train", "Loss"),
    "spread": ("monitors", "Spread"),
    "rankme": ("monitors", "Effective rank"),
    **{key: ("monitors", title) for key, title in RETRIEVAL.items()},
    "alignment": ("monitors", "Alignment"),
    "uniformity": ("monitors", "Uniformity"),
    "gradient_norm": ("train", "Gradient norm"),
    "lr": ("train", "Learning rate"),
    "images_per_second": ("speed", "Images a second"),
    "wait_share": ("speed", "Time spent waiting for images"),
}  # key: (the rows that have it, the chart's title)
SMOOTHED = frozenset({"loss", "gradient_norm"})
SHARES = frozenset({*RETRIEVAL, "wait_share"})

Floats = npt.NDArray[np.float64]


def overlay_charts(records: Mapping[str, RunRecord]) -> list[Panel]:
    """Return a chart of every number that a run has logged, a line a run.

    The horizontal axis counts epochs; steps, if one of the runs does not say how many an epoch has.

    Args:
        records: the runs, by the letter that stands for each.
    """
    paces = {letter: _steps_an_epoch(record) for letter, record in records.items()}
    known = all(paces.values())
    charts = []
    for key, (kind, title) in CHARTS.items():
        curves = {}
        for letter, record in records.items():
            rows: Sequence[Mapping[str, Any]] = getattr(record, kind)
            kept = [row for row in rows if is_number(row.get("step")) and is_number(row.get(key))]
            if kept:
                x, y = (
                    np.array([row[name] for row in kept], dtype=np.float64)
                    for name in ("step", key)
                )
                curves[letter] = (x / (paces[letter] or 1) if known else x, y)
        if any(y.any() for _, y in curves.values()):  # images in memory are never waited for
            places = {letter: place for place, letter in enumerate(records)}
            charts.append(_panel(key, title, curves, places, "epoch" if known else "step"))
    return charts


def _steps_an_epoch(record: RunRecord) -> float | None:
    """Return the steps of an epoch, from a reading at an epoch's end."""
    for row in reversed((*record.train, *record.monitors)):
        step, epoch = row.get("step"), row.get("epoch")
        if is_number(step) and is_number(epoch) and step > 0 and epoch > 0:
            return step / epoch
    return None


def _panel(
    key: str,
    title: str,
    curves: Mapping[str, tuple[Floats, Floats]],
    places: Mapping[str, int],
    x_title: str,
) -> Panel:
    say = percent if key in SHARES else number
    drawn = {
        letter: (x, running_mean(y, reach=len(y) // SMOOTHED_SHARE) if key in SMOOTHED else y)
        for letter, (x, y) in curves.items()
    }
    xs, ys = (np.concatenate(columns) for columns in zip(*drawn.values(), strict=True))
    x_scale = Scale.over(xs, LEFT, RIGHT, include=[xs.min(), xs.max()])
    y_scale = Scale.over(ys, BOTTOM, TOP)
    lines, points = [], []
    for letter, (x, y) in drawn.items():
        shown = thin(y, limit=POINTS)
        px, py = (
            np.round(scale(column[shown]), 1).tolist()
            for scale, column in ((x_scale, x), (y_scale, y))
        )
        lines.append(Line(f"run{places[letter]}", svg_path(px, py)))
        said = [
            f"{letter}: {say(value)}, {x_title} {where:,.4g}"
            for where, value in zip(x[shown].tolist(), y[shown].tolist(), strict=True)
        ]
        points += list(zip(px, py, said, strict=True))
    latest = " · ".join(f"{letter} {say(float(y[-1]))}" for letter, (_, y) in drawn.items())
    return Panel(
        name=f"{key} of all",
        title=title,
        latest=latest,
        summary=f"{title} over {x_title}; at the end {latest}",
        lines=tuple(lines),
        x_marks=x_scale.marks(5),
        y_marks=y_scale.marks(4, shares=key in SHARES),
        x_title=x_title,
        y_title="",
        points=tuple(points),
        trail=True,
    )
