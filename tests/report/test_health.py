"""The verdict on the monitors."""

import math
from typing import Any

import pytest

from lookalike.report import health
from lookalike.report.health import judge
from lookalike.training import monitors

HEALTHY = {"step": 9, "spread": 0.9, "rankme": 30.0, "knn_top1": 0.9}


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, "healthy"),
        ({"spread": 0.2}, "warning"),
        ({"spread": 0.01}, "warning"),  # the rank is fine, so this alone is no collapse
        ({"rankme": 2.5}, "warning"),
        ({"rankme": 1.2}, "warning"),
        ({"spread": 0.01, "rankme": 1.2}, "collapsed"),
        ({"uniformity": math.nan}, "collapsed"),
        ({"knn_top1": 0.7}, "warning"),
    ],
)
def test_the_worst_sign_decides(changes: dict[str, Any], level: str) -> None:
    assert judge([HEALTHY, HEALTHY | changes]).level == level


def test_only_the_last_reading_of_the_vectors_counts() -> None:
    assert judge([{"spread": 0.0, "rankme": 1.0}, HEALTHY]).level == "healthy"


def test_without_readings_nothing_is_known() -> None:
    assert judge([]).level == "unknown"
    assert judge([{"step": 1}]).level == "unknown"
    assert judge([]).signs


def test_every_number_is_said() -> None:
    said = " ".join(sign.sentence for sign in judge([HEALTHY]).signs)
    assert "0.90" in said
    assert "30.0" in said
    assert "90.0\u00a0%" in said


def test_a_report_calls_collapsed_what_stops_a_run():
    """The report does not import torch, so it holds the two limits a second time."""
    assert health.COLLAPSED_SPREAD == monitors.COLLAPSED_SPREAD
    assert health.COLLAPSED_RANK == monitors.COLLAPSED_RANK
