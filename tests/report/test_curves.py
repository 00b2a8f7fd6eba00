"""Which charts a run gets."""

from dataclasses import replace
from pathlib import Path

from lookalike.report.curves import monitor_charts, training_charts
from lookalike.report.reading import read_run


def test_every_logged_number_is_charted(full_run: Path) -> None:
    titles = [chart.title for chart in training_charts(read_run(full_run))]
    assert titles == [
        "Loss",
        "Learning rate",
        "Gradient norm",
        "Images a second",
        "Time spent waiting for images",
    ]


def test_the_collapse_panel_has_reference_lines(full_run: Path) -> None:
    charts = {chart.title: chart for chart in monitor_charts(read_run(full_run))}
    assert list(charts) == ["Spread", "Effective rank", "Alignment and uniformity", "kNN accuracy"]
    assert [line.text[0] for line in charts["Spread"].references] == ["0", "1"]
    assert len(charts["kNN accuracy"].references) == 2


def test_without_labels_view_retrieval_is_charted(full_run: Path) -> None:
    record = read_run(full_run)
    rows = tuple({"epoch": row["epoch"], "view_retrieval_top1": 0.5} for row in record.monitors)
    titles = [chart.title for chart in monitor_charts(replace(record, monitors=rows))]
    assert titles == ["View retrieval"]


def test_nothing_to_chart_is_no_chart(full_run: Path) -> None:
    record = replace(read_run(full_run), train=(), speed=(), monitors=())
    assert not training_charts(record)
    assert not monitor_charts(record)


def test_who_never_waited_is_not_shown_how_long(full_run: Path) -> None:
    record = read_run(full_run)
    never = replace(record, speed=tuple({**row, "wait_share": 0.0} for row in record.speed))
    titles = [chart.title for chart in training_charts(never)]
    assert "Images a second" in titles
    assert "Time spent waiting for images" not in titles
