"""What an evaluation comes to, in words: what training gained, beside what, and what to do next.

The commands end with these sentences, and a report shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

BASELINES = {
    "raw_pixels": ("raw pixels", "raw pixels"),
    "pca_pixels": ("PCA of pixels", "PCA of pixels"),
    "hog": ("HOG with colours", "HOG with colours"),
    "untrained": ("untrained network", "the untrained network"),
    "starting": ("as it started", "the weights that training started from"),
}
"""What encoders are measured beside: the key in an evaluation, its name, its name in a sentence."""

SIMPLE = ("raw_pixels", "pca_pixels", "hog")  # those that need no network
MEASURES = {
    "knn_top1": "by its neighbours' votes",
    "linear_top1": "by a linear probe",
    "recall_at_1": "by recall at 1",
}
"""What is compared: the key in an evaluation, and how a sentence says it. The first leads."""

BETTER, LEVEL, WORSE = "above", "level with", "below"


class Comparison(NamedTuple):
    """The encoder beside the best of its baselines, by one measure.

    standing: above, level with (too close to be sure) or below.
    points: how many, in percent points; below 0 where the baseline is ahead.
    baseline: its key.
    value: its share, in [0, 1].
    """

    standing: str
    points: float
    baseline: str
    value: float


def compare(evaluation: Mapping[str, Any], measure: str) -> Comparison | None:
    """Return how the encoder stands beside its best baseline; None where that was not measured.

    Args:
        evaluation: flat, as `Scorecard.to_json` and `evaluation.json` have it.
        measure: one of `MEASURES`.
    """
    own = evaluation.get(measure)
    shares = {
        key: value for key in BASELINES if _is_share(value := evaluation.get(f"{key}_{measure}"))
    }
    if not _is_share(own) or not shares:
        return None
    best = max(shares, key=shares.__getitem__)
    ahead = own - shares[best]
    low, high = _interval(evaluation, measure), _interval(evaluation, f"{best}_{measure}")
    near = low is not None and high is not None and low[0] <= high[1]
    standing = WORSE if ahead <= 0 else LEVEL if near else BETTER
    return Comparison(standing, 100 * ahead, best, shares[best])


def tell_verdict(evaluation: Mapping[str, Any]) -> str:
    """Return two or three sentences: what was gained or lost, against what, and what to do next.

    An encoder that is no better than a simple baseline is said to be so. Empty where nothing can
    be compared.

    Args:
        evaluation: flat, as `Scorecard.to_json` and `evaluation.json` have it.
    """
    led = compare(evaluation, "knn_top1")
    if led is None:
        if evaluation.get("rankme") is None:
            return ""
        return (
            "Nobody can vote here, so what training gained cannot be said. "
            "Next: label some images of each class, or evaluate on a source that has labels."
        )
    said = [_sentence(led), *_others(evaluation, led), f"Next: {_advice(evaluation, led)}."]
    return " ".join(said)


def _sentence(led: Comparison) -> str:
    points = f"{abs(led.points):.1f} points"
    against = f"the best baseline, {BASELINES[led.baseline][1]} ({_percent(led.value)})"
    if led.standing == WORSE:
        return f"Training has not paid off: {points} below {against}."
    if led.standing == LEVEL:
        return f"{points} above {against}, but the intervals overlap: too close to be sure."
    return f"{points} above {against}."


def _others(evaluation: Mapping[str, Any], led: Comparison) -> list[str]:
    """Return what measures say that disagree with the leading one."""
    said = []
    for measure, how in list(MEASURES.items())[1:]:
        other = compare(evaluation, measure)
        if other is not None and (other.points > 0) != (led.points > 0):
            side = BETTER if other.points > 0 else WORSE
            said.append(
                f"{how[:1].upper()}{how[1:]} it is {abs(other.points):.1f} points {side} "
                f"{BASELINES[other.baseline][1]} ({_percent(other.value)})."
            )
    return said


def _advice(evaluation: Mapping[str, Any], led: Comparison) -> str:
    name = BASELINES[led.baseline][1]
    if led.standing == BETTER:
        return "put it to use: search, duplicates, cluster or export it"
    if led.standing == LEVEL:
        return "train longer, and evaluate on more images"
    before = evaluation.get("untrained_knn_top1")
    if led.baseline in SIMPLE and _is_share(before) and evaluation["knn_top1"] <= before:
        return (
            f"use {name} meanwhile; training has taken from what the network had untrained, so "
            "look at the report's warnings, then try another method or a lower learning rate"
        )
    if led.baseline == "starting":
        return "use the weights that training started from, or go on with a lower learning rate"
    if led.baseline == "untrained":
        return "look at the report's warnings, then try another method or a lower learning rate"
    return f"use {name} meanwhile; train longer, on more images, or with labels of some of them"


def _interval(evaluation: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    interval = evaluation.get(f"{key}_ci95")
    if isinstance(interval, (list, tuple)) and len(interval) == 2 and all(map(_is_share, interval)):
        return interval[0], interval[1]
    return None


def _is_share(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
