"""Several runs in tables: what differs and nothing else, and no comparison that cannot be made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lookalike.report.differences import ABSENT, differing, measures, weigh_measures
from lookalike.report.reading import RunRecord, read_run


@pytest.fixture
def run(full_run: Path) -> RunRecord:
    return read_run(full_run)


def changed(run: RunRecord, **evaluation: Any) -> RunRecord:
    return replace(run, evaluation=(run.evaluation or {}) | evaluation)


def test_only_what_is_not_the_same_is_listed():
    first = {"method": "simclr", "seed": "0", "method_arguments.temperature": "0.2"}
    second = {"method": "byol", "seed": "0", "method_arguments.decay": "0.996"}
    assert differing([first, second]) == [
        ("method", ["simclr", "byol"]),
        ("method_arguments.temperature", ["0.2", ABSENT]),
        ("method_arguments.decay", [ABSENT, "0.996"]),
    ]
    assert differing([first, first]) == []


def test_long_numbers_are_cut_but_compared_whole():
    first, second = {"ratio": "0.75, 1.3333333333333333"}, {"ratio": "0.75, 1.3333333333333330"}
    assert differing([first, second]) == [("ratio", ["0.75, 1.3333", "0.75, 1.3333"])]


def test_views_come_after_all_else():
    first = {"views.views.0.flip": "0", "seed": "0"}
    second = {"views.views.0.flip": "1", "seed": "1"}
    assert [name for name, _ in differing([first, second])] == ["seed", "views.views.0.flip"]


def test_measures_of_all_runs_stand_in_one_row(run: RunRecord):
    other = changed(run, knn_top1=0.5, knn_top1_ci95=[0.4, 0.6], recall_at_1=None)
    bare = replace(run, evaluation=None)
    rows = {row.title: row.cells for row in measures({"A": run, "B": other, "C": bare})}
    assert [cell.value for cell in rows["Recall at 1"]] == ["91.2\u00a0%", ABSENT, ABSENT]
    assert rows["kNN accuracy"][1] == ("50.0\u00a0%", "40.0\u00a0% to 60.0\u00a0%")
    assert rows["kNN accuracy"][2] == (ABSENT, "")
    assert measures({"A": bare, "B": bare}) == []


def test_verification_adds_its_error(run: RunRecord, verified: dict[str, Any]):
    other = replace(run, verification=verified)
    row = next(row for row in measures({"A": run, "B": other}) if row.title == "Equal error rate")
    assert row.cells[0].value == ABSENT
    assert row.cells[1].interval


def test_the_best_is_named_with_how_sure_that_is(run: RunRecord):
    def said(*others: RunRecord) -> str:
        letters = "ABC"
        return " ".join(weigh_measures(dict(zip(letters, others, strict=False))))

    good = changed(run, knn_top1=0.9, knn_top1_ci95=[0.88, 0.92])
    fair = changed(run, knn_top1=0.86, knn_top1_ci95=[0.84, 0.89])
    poor = changed(run, knn_top1=0.5, knn_top1_ci95=[0.47, 0.53])
    assert "C is 4.0 points of kNN accuracy above B, but their intervals overlap" in said(
        poor, fair, good
    )
    assert "A is 40.0 points of kNN accuracy above B. " in said(good, poor)
    assert "A and B name the same share" in said(good, good)


@pytest.mark.parametrize(
    ("key", "value"), [("source", "flowers"), ("k", 3), ("query_images", 7), ("bank_images", 0)]
)
def test_what_was_measured_otherwise_is_not_compared(run: RunRecord, key: str, value: object):
    said = weigh_measures({"A": run, "B": changed(run, **{key: value, "knn_top1": 0.1})})
    assert len(said) == 1
    assert "cannot be compared" in said[0]
    assert str(value) in said[0]
    assert "points" not in said[0]


def test_a_run_without_an_evaluation_is_named(run: RunRecord):
    bare = replace(run, evaluation=None)
    said = weigh_measures({"A": run, "B": bare, "C": run})
    assert said[0].startswith("B has no evaluation")
    assert "A and C" in said[1]
    assert len(weigh_measures({"A": bare, "B": bare})) == 2
