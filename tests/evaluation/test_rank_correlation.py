"""Spearman's correlation against its slow definition, and where it is known."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.evaluation.rank_correlation import rank_correlation, ranks

NUMBERS = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=12)


def slow_ranks(values):
    """A value's rank is one more than those below it, and half of its equals but itself."""
    return [
        1 + sum(other < value for other in values) + (sum(o == value for o in values) - 1) / 2
        for value in values
    ]


def slow_correlation(x, y):
    """Pearson's, by its definition, of the ranks."""
    x, y = slow_ranks(x), slow_ranks(y)
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / len(x)
    deviations = [
        math.sqrt(sum((a - mean) ** 2 for a in each) / len(x))
        for each, mean in ((x, mean_x), (y, mean_y))
    ]
    return covariance / math.prod(deviations)


@given(NUMBERS)
def test_ranks_are_those_of_a_slow_count(values):
    assert ranks(values) == slow_ranks(values)
    assert sum(ranks(values)) == len(values) * (len(values) + 1) / 2


@given(NUMBERS, st.randoms(use_true_random=False))
def test_it_is_its_slow_definition(x, shuffler):
    y = [value + shuffler.randint(-4, 4) for value in x]
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(rank_correlation(x, y))
        return
    found = rank_correlation(x, y)
    assert found == pytest.approx(slow_correlation(x, y), abs=1e-12)
    assert -1 - 1e-12 <= found <= 1 + 1e-12
    assert found == pytest.approx(rank_correlation(y, x))


def test_without_equals_it_is_the_textbook_formula():
    """1 - 6 sum d^2 / (n (n^2 - 1)), d the differences of ranks."""
    x = list(range(9))
    y = random.Random(3).sample(range(9), 9)
    squares = sum((a - b) ** 2 for a, b in zip(x, y, strict=True))
    assert rank_correlation(x, y) == pytest.approx(1 - 6 * squares / (9 * (81 - 1)))


def test_only_the_order_counts():
    x = [0.3, 2.0, -1.0, 5.0]
    assert rank_correlation(x, [math.exp(a) for a in x]) == pytest.approx(1)
    assert rank_correlation(x, [-(a**3) for a in x]) == pytest.approx(-1)


@pytest.mark.parametrize(("x", "y"), [([1.0], [1.0, 2.0]), ([1.0, math.nan], [1.0, 2.0])])
def test_what_cannot_be_ranked_is_refused(x, y):
    with pytest.raises(ValueError, match="finite values"):
        rank_correlation(x, y)
