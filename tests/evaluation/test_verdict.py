"""The verdict says who is ahead, by how much and what to do: from numbers whose answer is plain."""

from typing import Any

import pytest

from lookalike.evaluation.verdict import BETTER, LEVEL, WORSE, compare, tell_verdict


def numbers(measure: str = "knn_top1", **shares: float) -> dict[str, Any]:
    """Return an evaluation; each share has an interval of 2 points on either side."""
    told: dict[str, Any] = {"rankme": 9.0}
    for way, share in shares.items():
        key = measure if way == "encoder" else f"{way}_{measure}"
        told |= {key: share, f"{key}_ci95": [share - 0.02, share + 0.02]}
    return told


@pytest.mark.parametrize(
    ("shares", "standing", "points", "baseline"),
    [
        ({"encoder": 0.9, "raw_pixels": 0.7, "untrained": 0.4}, BETTER, 20, "raw_pixels"),
        ({"encoder": 0.9, "raw_pixels": 0.7, "hog": 0.88}, LEVEL, 2, "hog"),
        ({"encoder": 0.9, "hog": 0.9}, WORSE, 0, "hog"),
        ({"encoder": 0.11, "raw_pixels": 0.85, "pca_pixels": 0.86}, WORSE, -75, "pca_pixels"),
    ],
)
def test_the_best_baseline_is_the_one_to_beat(shares, standing, points, baseline):
    found = compare(numbers(**shares), "knn_top1")
    assert found is not None
    assert (found.standing, found.baseline) == (standing, baseline)
    assert found.points == pytest.approx(points)
    assert found.value == shares[baseline]


def test_below_a_simple_baseline_is_said_plainly():
    said = tell_verdict(numbers(encoder=0.11, raw_pixels=0.85, hog=0.8, untrained=0.05))
    assert said.startswith("Training has not paid off: 74.0 points below the best baseline, raw")
    assert "(85.0 %)" in said
    assert "Next: use raw pixels meanwhile; train longer" in said


def test_below_the_untrained_network_too_training_has_taken_away():
    said = tell_verdict(numbers(encoder=0.3, raw_pixels=0.5, untrained=0.4))
    assert "training has taken from what the network had untrained" in said


@pytest.mark.parametrize(
    ("baseline", "advice"),
    [("untrained", "another method"), ("starting", "use the weights that training started from")],
)
def test_below_a_network_the_advice_is_another(baseline, advice):
    said = tell_verdict(numbers(encoder=0.3, raw_pixels=0.2, **{baseline: 0.5}))
    assert "has not paid off: 20.0 points below" in said
    assert advice in said


def test_a_lead_is_said_with_what_to_do():
    said = tell_verdict(numbers(encoder=0.9, raw_pixels=0.7, hog=0.6))
    assert said.startswith("20.0 points above the best baseline, raw pixels (70.0 %).")
    assert "Next: put it to use" in said


def test_too_close_is_said():
    said = tell_verdict(numbers(encoder=0.72, raw_pixels=0.7))
    assert "2.0 points above" in said
    assert "too close to be sure" in said
    assert "Next: train longer, and evaluate on more images." in said


def test_measures_that_disagree_are_told():
    votes = numbers(encoder=0.5, raw_pixels=0.6)
    probe = numbers("linear_top1", encoder=0.8, raw_pixels=0.55, hog=0.7)
    said = tell_verdict(votes | probe)
    assert "By a linear probe it is 10.0 points above HOG with colours (70.0 %)." in said
    assert "linear probe" not in tell_verdict(votes | probe | {"linear_top1": 0.6})


def test_without_votes_labels_are_asked_for():
    assert "label some images of each class" in tell_verdict({"rankme": 9.0, "knn_top1": None})
    assert tell_verdict({}) == ""


@pytest.mark.parametrize("value", [None, "0.9", True, 7, float("nan")])
def test_what_is_no_share_is_not_compared(value):
    assert compare(numbers(encoder=0.5) | {"raw_pixels_knn_top1": value}, "knn_top1") is None
