"""Verification's charts: every place drawn is that of a number given."""

from __future__ import annotations

import re
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from lookalike.report.charts import BOTTOM, LEFT, RIGHT, TOP
from lookalike.report.verification_charts import det_chart, histogram_chart, roc_chart, share

CURVE = {
    "far": [0.0, 0.0, 0.001, 0.01, 0.1, 1.0],
    "tar": [0.0, 0.2, 0.3, 0.5, 0.8, 1.0],
    "threshold": [0.9, 0.9, 0.7, 0.5, 0.3, -0.2],
}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.5, "50 %"),
        (0.123, "12.3 %"),
        (0.0467, "4.67 %"),
        (0.01, "1 %"),
        (1e-4, "0.01 %"),
        (1e-6, "0.0001 %"),
        (1e-7, "0.00001 %"),
    ],
)
def test_shares_have_the_digits_they_need(value: float, words: str) -> None:
    assert share(value).replace("\u00a0", " ") == words


def test_the_roc_goes_by_powers_of_ten() -> None:
    panel = roc_chart({"encoder": CURVE}, different=1000, latest="so")
    decade = (RIGHT - LEFT) / 3
    marks = {mark.text.replace("\u00a0", " "): mark.place for mark in panel.x_marks}
    assert marks == pytest.approx(
        {"0.1 %": LEFT, "1 %": LEFT + decade, "10 %": LEFT + 2 * decade, "100 %": RIGHT}
    )
    for (x, y, said), far, tar in zip(panel.points, CURVE["far"], CURVE["tar"], strict=True):
        assert x == pytest.approx(LEFT + decade * (3 + np.log10(max(far, 1e-3))), abs=0.06)
        assert y == pytest.approx(BOTTOM + tar * (TOP - BOTTOM), abs=0.06)
        assert f"TAR {share(tar)}" in said
    assert panel.untold == pytest.approx(LEFT + decade)  # 10 of 1000
    assert panel.latest == "so"


def test_the_roc_is_a_staircase() -> None:
    panel = roc_chart({"encoder": CURVE}, different=1000, latest="so")
    (line,) = panel.lines
    x, y = map(float, re.match(r"M(\S+) (\d+)", line.path).groups())
    corners = [(x, y)]
    for axis, place in re.findall(r"([HV])([\d.]+)", line.path):
        x, y = (float(place), y) if axis == "H" else (x, float(place))
        corners.append((x, y))
    drawn = iter(corners)
    assert all(point[:2] in drawn for point in panel.points)  # every point, in their order
    assert line.kind == "encoder"
    steps = [b[1] for a, b in pairwise(corners) if a[0] != b[0]]
    # To the right, then up; the first three lie on the left edge, where a FAR of 0 is drawn.
    assert steps == [point[1] for point in panel.points[2:-1]]


@pytest.mark.parametrize("different", [1, 2, 10, 11])
def test_few_pairs(different: int) -> None:
    panel = roc_chart({"encoder": CURVE}, different=different, latest="so")
    assert LEFT <= panel.untold <= RIGHT
    assert (panel.untold == RIGHT) == (different <= 10)


def test_normal_scores_are_straight_on_a_det() -> None:
    normal = NormalDist()
    thresholds = np.linspace(3, -2, 60)
    far = [1 - normal.cdf(t) for t in thresholds]
    tar = [1 - normal.cdf(t - 1.2) for t in thresholds]
    curve = {"far": far, "tar": tar, "threshold": thresholds.tolist()}
    panel = det_chart({"encoder": curve}, pairs=100_000, eer=normal.cdf(-0.6))
    x, y = np.array([point[:2] for point in panel.points]).T
    slope, start = np.polyfit(x, y, 1)
    assert np.abs(slope * x + start - y).max() < 0.2
    assert slope == pytest.approx((BOTTOM - TOP) / (RIGHT - LEFT), rel=1e-2)  # equal spreads
    half = next(mark for mark in panel.x_marks if mark.text.startswith("50"))
    assert half.place == pytest.approx((LEFT + RIGHT) / 2)
    assert panel.latest == f"equal error rate {share(normal.cdf(-0.6))}"


def test_no_mark_of_a_det_is_beyond_its_axes() -> None:
    for pairs in (2, 100, 10**7):
        panel = det_chart({"encoder": CURVE}, pairs=pairs, eer=0.1)
        places = sorted(mark.place for mark in panel.x_marks)
        assert places[0] >= LEFT
        assert places[-1] <= RIGHT
        assert len(places) >= 3
        assert np.diff(places).min() >= 34  # texts do not run into each other


def test_what_is_beyond_the_axes_of_a_det_is_not_drawn() -> None:
    _, line = det_chart({"encoder": CURVE}, pairs=500, eer=0.1).lines
    assert len(re.findall(r"[ML]", line.path)) == 2  # FAR 0, 0.001 and 1 cannot be
    perfect = {"far": [0, 0, 1], "tar": [0, 1, 1], "threshold": [1, 1, 0]}
    assert det_chart({"encoder": perfect}, pairs=500, eer=0).lines[1].path == ""


HISTOGRAM = {"edges": [0, 0.25, 0.5, 0.75, 1], "same": [0, 1, 1, 2], "different": [4, 2, 2, 0]}


def test_hills_are_shares_of_their_kind() -> None:
    panel = histogram_chart(HISTOGRAM, threshold=0.5, eer=0.25)
    hills = {line.kind: line.path for line in panel.lines}
    height = (BOTTOM - TOP) / (1.06 * 0.5)
    for kind in ("same", "different"):
        tops = [float(top) for top in re.findall(r"V([\d.]+)H", hills[kind])]
        counts = np.array(HISTOGRAM[kind])
        expected = BOTTOM - height * counts / counts.sum()
        np.testing.assert_allclose(tops, expected, atol=0.06)
        assert hills[kind].endswith(f"V{BOTTOM}")
    assert panel.upright.place == pytest.approx((LEFT + RIGHT) / 2)


def test_what_is_said_of_a_cosine_is_what_is_accepted_from_there() -> None:
    said = [
        text.replace("\u00a0", " ")
        for _, _, text in histogram_chart(HISTOGRAM, threshold=0, eer=0).points
    ]
    assert said[0] == "from 0 on: 100 % of same and 100 % of different pairs"
    assert said[2] == "from 0.5 on: 75 % of same and 25 % of different pairs"
    assert said[4] == "from 1 on: 0 % of same and 0 % of different pairs"


def test_real_curves_stay_inside(verified: dict[str, Any]) -> None:
    rocs = {kind: way["roc"] for kind, way in verified["ways"].items()}
    for panel in (
        roc_chart(rocs, different=1500, latest="so"),
        det_chart(rocs, pairs=1500, eer=0.2),
    ):
        assert len(panel.points) <= 300
        for x, y, _ in panel.points:
            assert LEFT <= x <= RIGHT
            assert TOP <= y <= BOTTOM
