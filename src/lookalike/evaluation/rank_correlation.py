"""Whether two measures put things in the same order. Spearman 1904, Am. J. Psychol. 15, 72."""

from __future__ import annotations

import math
from collections.abc import Sequence


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Return Spearman's rank correlation: Pearson's, between the ranks of two measures.

    Args:
        x: N finite values of one measure.
        y: N of the other, of the same things in the same order.

    Returns:
        In [-1, 1]: 1 where both put them in one order, -1 where in opposite orders, about 0 where
        the one says nothing of the other; nan where a measure has the same value for all.

    Raises:
        ValueError: lengths differ, or a value is not finite.
    """
    if len(x) != len(y) or not all(map(math.isfinite, (*x, *y))):
        raise ValueError(f"want as many finite values of x as of y, got {list(x)} and {list(y)}")
    first, second = ([rank - (len(x) + 1) / 2 for rank in ranks(each)] for each in (x, y))
    length = math.sqrt(sum(a * a for a in first) * sum(b * b for b in second))
    return sum(a * b for a, b in zip(first, second, strict=True)) / length if length else math.nan


def ranks(values: Sequence[float]) -> list[float]:
    """Return the places of values in ascending order, from 1; those of equals are averaged."""
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values), 1):
        places.setdefault(value, []).append(place)
    return [sum(places[value]) / len(places[value]) for value in values]
