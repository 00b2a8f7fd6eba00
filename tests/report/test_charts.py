"""Charts: every number that is drawn or written is one of those given."""

import math
import re

import numpy as np
import pytest

from lookalike.report.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Scale,
    line_chart,
    number,
    percent,
    round_values,
    running_mean,
    thin,
    trail_chart,
)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (3.18812, "3.188"),
        (0.31, "0.31"),
        (1234.5, "1,234"),
        (-3.42, "\u22123.42"),
        (0.00001, "1e\u22125"),
    ],
)
def test_numbers_are_short(value: float, words: str) -> None:
    assert number(value) == words


def test_a_share_is_a_percentage_with_one_decimal() -> None:
    assert percent(0.9377) == "93.8\u00a0%"


def test_running_mean_is_the_mean_of_what_is_there() -> None:
    values = np.random.default_rng(0).normal(size=23)
    slow = [values[max(i - 4, 0) : i + 5].mean() for i in range(23)]
    np.testing.assert_allclose(running_mean(values, reach=4), slow, rtol=1e-12)


def test_thinning_keeps_peaks_valleys_and_ends() -> None:
    values = np.sin(np.arange(50_000) / 3)
    values[31_234], values[12_345] = 9, -9
    kept = thin(values, limit=100)
    assert len(kept) <= 102
    assert {0, 31_234, 12_345, 49_999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-3.4, -0.9), (3.05, 5.5), (0, 1e-5), (0, 98765)]
)
def test_round_values_are_evenly_spaced_inside(low: float, high: float) -> None:
    values = round_values(low, high, 5)
    assert 3 <= len(values) <= 9
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in values)
    step = values[1] - values[0]
    np.testing.assert_allclose(np.diff(values), step, rtol=1e-9)
    assert f"{step:.0e}"[0] in "125"


def test_scale_puts_the_ends_of_what_is_included_on_the_plots_edges() -> None:
    scale = Scale.over(np.array([0.2, 0.7]), BOTTOM, TOP, include=(0, 1))
    assert float(scale(0)) == BOTTOM
    assert float(scale(1)) == TOP


def test_scale_of_one_value_has_it_in_the_middle() -> None:
    scale = Scale.over(np.array([3.0, 3.0]), 0, 10)
    assert float(scale(3.0)) == pytest.approx(5)


def test_points_are_where_the_values_are() -> None:
    y = [5.0, 3.0, 4.0, 2.0]
    chart = line_chart("loss", "Loss", [0, 10, 20, 30], y, x_title="step", include=(0, 6))
    assert chart is not None
    expected_x = np.linspace(LEFT, RIGHT, 4)
    expected_y = [BOTTOM + (TOP - BOTTOM) * value / 6 for value in y]
    drawn = np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", chart.path), dtype=float)
    np.testing.assert_allclose(drawn[:, 0], expected_x, atol=0.06)
    np.testing.assert_allclose(drawn[:, 1], expected_y, atol=0.06)
    assert [said for _, _, said in chart.points] == [
        "5, step 0",
        "3, step 10",
        "4, step 20",
        "2, step 30",
    ]
    assert chart.latest == "2, step 30"
    assert "from 5 to 2, lowest 2, highest 5" in chart.summary


def test_values_that_are_not_finite_are_left_out() -> None:
    chart = line_chart("loss", "Loss", [1, 2, 3], [1.0, math.nan, math.inf], x_title="step")
    assert chart is not None
    assert len(chart.points) == 1
    assert line_chart("loss", "Loss", [1], [math.nan], x_title="step") is None
    assert line_chart("loss", "Loss", [], [], x_title="step") is None


def test_a_long_line_is_smoothed_and_a_short_one_is_not() -> None:
    short = line_chart("a", "A", range(10), range(10), x_title="step", smooth=True)
    long = line_chart("a", "A", range(100), range(100), x_title="step", smooth=True)
    assert short is not None
    assert long is not None
    assert not short.smooth
    assert long.smooth
    assert "mean" in long.latest


@pytest.mark.parametrize("last", [0.9, 0.1])
def test_a_references_text_is_on_the_other_side_of_the_line_than_the_last_value(
    last: float,
) -> None:
    chart = line_chart(
        "k", "K", [0, 1], [0.5, last], x_title="epoch", references=[(0.5, "r")], include=(0, 1)
    )
    assert chart is not None
    reference = chart.references[0]
    value_is_above = chart.points[-1][1] < reference.place
    assert (reference.text_place > reference.place) == value_is_above


def test_a_trail_keeps_its_order() -> None:
    chart = trail_chart(
        "t", "T", [0.2, 0.4, 0.3], [-1, -2, -3], x_title="x", y_title="y", names=["a", "b", "c"]
    )
    assert chart is not None
    assert [said for _, _, said in chart.points] == [
        "0.2 and \u22121, a",
        "0.4 and \u22122, b",
        "0.3 and \u22123, c",
    ]
    assert chart.points[0][0] < chart.points[2][0] < chart.points[1][0]
    assert chart.points[0][1] < chart.points[1][1] < chart.points[2][1]  # pixels count downwards
