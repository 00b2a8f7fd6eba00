"""The threshold keeps altered copies, and rises where chance does as well as they."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.curation.threshold import LEAST, choose_threshold


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_starts_at_twice_the_disagreement_of_the_copies():
    copies = np.full(200, 0.95, dtype=np.float32)
    copies[:9] = 0.1  # the most altered are left out
    found = choose_threshold(
        floats(0.99, 0.92, 0.85), copies=copies, mirrored=floats(0.3), searched=10
    )
    assert found.value == pytest.approx(0.9)
    assert (found.pairs, found.mistakes, found.precision) == (2, 0, 1)
    assert found.kept == pytest.approx(191 / 200)


def test_rises_until_the_precision_is_there():
    pairs = floats(*np.linspace(0.9, 0.999, 100))
    mirrored = floats(0.93, 0.94, 0.95)
    options = {"copies": floats(*[0.95] * 100), "mirrored": mirrored, "searched": 50}
    found = choose_threshold(pairs, precision=0.98, **options)
    # from 0.94 on there are 2 mistakes among 60 pairs; just above it 1 among 59, and 1 / 59 < 2 %
    assert found.value == pytest.approx(0.941)
    assert (found.pairs, found.mistakes) == (59, 1)
    lax = choose_threshold(pairs, precision=0.95, **options)
    assert lax.value < found.value
    assert lax.precision >= 0.95
    assert lax.mistakes <= 0.05 * lax.pairs


def test_a_sample_of_mirrored_pictures_stands_for_all():
    pairs = floats(*[0.97] * 100)
    options = {"copies": floats(*[0.96] * 100), "mirrored": floats(0.95), "searched": 10}
    assert choose_threshold(pairs, weight=1, **options).pairs == 100
    found = choose_threshold(pairs, weight=2, **options)
    assert found.value > 0.95
    assert found.mistakes == 0


def test_where_chance_scores_as_high_as_pairs_nothing_counts():
    found = choose_threshold(
        floats(0.9, 0.95), copies=floats(*[0.9] * 10), mirrored=floats(0.96, 0.97), searched=2
    )
    assert (found.pairs, found.precision) == (0, None)
    assert found.value > 0.97
    assert "no pair agrees" in found.reason


def test_without_copies_there_is_a_floor():
    found = choose_threshold(floats(0.9, 0.4), copies=floats(), mirrored=floats(), searched=0)
    assert (found.value, found.pairs, found.kept) == (LEAST, 1, None)
    assert "no copy could be made" in found.reason
    bad = choose_threshold(
        floats(0.9, 0.4), copies=floats(*[0.3] * 9), mirrored=floats(), searched=0
    )
    assert bad.value == LEAST


scores = st.lists(st.floats(0.75, 1.0, width=32) | st.floats(0.0, 1.0, width=32), max_size=30)


@given(scores, scores, st.sampled_from([0.5, 0.9, 0.99]))
def test_is_the_least_threshold_of_that_precision_by_a_slow_loop(pairs, mirrored, precision):
    copies = floats(*[0.9] * 20)
    found = choose_threshold(
        floats(*pairs), copies=copies, mirrored=floats(*mirrored), searched=5, precision=precision
    )

    start = 2 * float(copies[0]) - 1

    def holds(level: float) -> bool:
        counted = sum(score >= level for score in pairs)
        return sum(score >= level for score in mirrored) <= (1 - precision) * counted

    levels = [start, *sorted(score for score in pairs if score > start)]
    expected = next((level for level in levels if holds(level)), None)
    if expected is None:
        assert found.pairs == 0
        assert found.value > max([*pairs, *mirrored])
    else:
        assert found.value == pytest.approx(expected)
    assert holds(found.value)


@pytest.mark.parametrize("precision", [0, 1, -0.1, 2])
def test_refuses_a_precision_that_cannot_be(precision):
    with pytest.raises(ValueError, match="precision must be"):
        choose_threshold(
            floats(), copies=floats(), mirrored=floats(), searched=0, precision=precision
        )


def test_the_sentence_says_what_was_measured():
    found = choose_threshold(
        floats(0.99, 0.98), copies=floats(*[0.97] * 400), mirrored=floats(0.2), searched=30
    )
    for words in ("0.940 or more", "100.0% of 400 altered", "30 mirrored", "0 such", "99.0% asked"):
        assert words in found.reason
