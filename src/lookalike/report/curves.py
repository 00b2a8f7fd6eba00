"""Which numbers of a run are charted, under which title and beside which reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.evaluation.verdict import BASELINES, SIMPLE
from lookalike.report.charts import Chart, line_chart, trail_chart
from lookalike.report.health import RETRIEVAL
from lookalike.report.reading import RunRecord, is_number

TITLES = {"loss": "Loss", "lr": "Learning rate"}


def monitor_charts(record: RunRecord) -> list[Chart]:
    """Return the charts of the collapse panel, those that the run has numbers for."""
    rows = record.monitors
    baselines = _baselines(record.evaluation or {})
    both = [row for row in rows if _has_numbers(row, "alignment", "uniformity")]
    charts = [
        _chart(rows, "epoch", "spread", "Spread", references=[(0, "0: collapsed"), (1, "1: even")]),
        _chart(
            rows,
            "epoch",
            "rankme",
            "Effective rank",
            references=[(1, "1: a single direction")],
            include=(0,),
        ),
        trail_chart(
            "alignment and uniformity",
            "Alignment and uniformity",
            [row["alignment"] for row in both],
            [row["uniformity"] for row in both],
            x_title="alignment (lower: views agree)",
            y_title="uniformity (lower: more even)",
            names=[f"epoch {row.get('epoch', '?')}" for row in both],
        ),
        *(
            _chart(
                rows,
                "epoch",
                key,
                name,
                references=baselines if key == "knn_top1" else (),
                include=(0, 1),
                shares=True,
            )
            for key, name in RETRIEVAL.items()
        ),
    ]
    return [chart for chart in charts if chart]


def training_charts(record: RunRecord) -> list[Chart]:
    """Return the charts of training: every number that was logged, then the speed."""
    logged = {key for row in record.train for key, value in row.items() if is_number(value)}
    charts = [
        _chart(
            record.train,
            "step",
            key,
            TITLES.get(key, key.replace("_", " ").capitalize()),
            smooth=key != "lr",
        )
        for key in [*TITLES, *sorted(logged - {"step", "epoch", *TITLES})]
    ]
    waited = "Time spent waiting for images"
    charts.append(
        _chart(record.speed, "step", "images_per_second", "Images a second", include=(0,))
    )
    if any(row.get("wait_share") for row in record.speed):  # images in memory are never waited for
        charts.append(
            _chart(record.speed, "step", "wait_share", waited, include=(0, 0.1), shares=True)
        )
    return [chart for chart in charts if chart]


def _baselines(evaluation: Mapping[str, Any]) -> list[tuple[float, str]]:
    """Return the best baseline that needs no network, and the untrained network."""
    found = {
        key: evaluation[f"{key}_knn_top1"]
        for key in (*SIMPLE, "untrained")
        if is_number(evaluation.get(f"{key}_knn_top1"))
    }
    simple = [key for key in SIMPLE if key in found]
    shown = [max(simple, key=found.__getitem__)] if simple else []
    shown += [key for key in found if key not in SIMPLE]
    return [(found[key], f"{BASELINES[key][0]}, evaluated") for key in shown]


def _chart(
    rows: Sequence[Mapping[str, Any]], over: str, key: str, title: str, **drawn: Any
) -> Chart | None:
    kept = [row for row in rows if _has_numbers(row, over, key)]
    x, y = [row[over] for row in kept], [row[key] for row in kept]
    return line_chart(f"{key} over {over}", title, x, y, x_title=over, **drawn)


def _has_numbers(row: Mapping[str, Any], *keys: str) -> bool:
    return all(is_number(row.get(key)) for key in keys)
