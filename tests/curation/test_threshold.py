"""The threshold keeps altered copies, and rises where chance does as well as they."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.curation.threshold import LEAST, Recall, Threshold, choose_threshold


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_starts_at_twice_the_disagreement_of_the_copies():
    copies = np.full(200, 0.95, dtype=np.float32)
    copies[:9] = 0.1  # the most altered are left out
    found = choose(floats(0.99, 0.92, 0.85), copies=copies, decoys=floats(0.3), searched=10)
    assert found.value == pytest.approx(0.9)
    assert (found.pairs, found.mistakes, found.precision) == (2, 0, 1)
    assert found.recall.share == pytest.approx(191 / 200)


def test_rises_until_the_precision_is_there():
    pairs = floats(*np.linspace(0.9, 0.999, 100))
    decoys = floats(0.93, 0.94, 0.95)
    options = {"copies": floats(*[0.95] * 100), "decoys": decoys, "searched": 50}
    found = choose(pairs, precision=0.98, **options)
    # from 0.94 on there are 2 mistakes among 60 pairs; just above it 1 among 59, and 1 / 59 < 2 %
    assert found.value == pytest.approx(0.941)
    assert (found.pairs, found.mistakes) == (59, 1)
    lax = choose(pairs, precision=0.95, **options)
    assert lax.value < found.value
    assert lax.precision >= 0.95
    assert lax.mistakes <= 0.05 * lax.pairs


def test_a_sample_of_decoys_stands_for_all():
    pairs = floats(*[0.97] * 100)
    options = {"copies": floats(*[0.96] * 100), "decoys": floats(0.95), "searched": 10}
    assert choose(pairs, weight=1, **options).pairs == 100
    found = choose(pairs, weight=2, **options)
    assert found.value > 0.95
    assert found.mistakes == 0


def test_where_chance_scores_as_high_as_pairs_nothing_counts():
    found = choose(
        floats(0.9, 0.95), copies=floats(*[0.9] * 10), decoys=floats(0.96, 0.97), searched=2
    )
    assert (found.pairs, found.precision) == (0, None)
    assert found.value > 0.97
    assert "no two agree well enough" in found.reason
    assert "no pair of images counts" in found.headline


def test_without_copies_there_is_a_floor():
    found = choose(floats(0.9, 0.4), copies=floats(), decoys=floats(), searched=0)
    assert (found.value, found.pairs, found.recall) == (LEAST, 1, None)
    assert "no copy could be made" in found.headline
    bad = choose(floats(0.9, 0.4), copies=floats(*[0.3] * 9), decoys=floats(), searched=0)
    assert bad.value == LEAST


def choose(pairs: np.ndarray, *, copies: np.ndarray, **options: Any) -> Threshold:
    """Choose a threshold by copies of a plain kind."""
    return choose_threshold(pairs, copies=copies, kinds=["resized"] * len(copies), **options)


scores = st.lists(st.floats(0.75, 1.0, width=32) | st.floats(0.0, 1.0, width=32), max_size=30)


@given(scores, scores, st.sampled_from([0.5, 0.9, 0.99]))
def test_is_the_least_threshold_of_that_precision_by_a_slow_loop(pairs, decoys, precision):
    copies = floats(*[0.9] * 20)
    found = choose(
        floats(*pairs), copies=copies, decoys=floats(*decoys), searched=5, precision=precision
    )

    start = 2 * float(copies[0]) - 1

    def holds(level: float) -> bool:
        counted = sum(score >= level for score in pairs)
        return sum(score >= level for score in decoys) <= (1 - precision) * counted

    levels = [start, *sorted(score for score in pairs if score > start)]
    expected = next((level for level in levels if holds(level)), None)
    if expected is None:
        assert found.pairs == 0
        assert found.value > max([*pairs, *decoys])
    else:
        assert found.value == pytest.approx(expected)
    assert holds(found.value)


@pytest.mark.parametrize("precision", [0, 1, -0.1, 2])
def test_refuses_a_precision_that_cannot_be(precision):
    with pytest.raises(ValueError, match="precision must be"):
        choose(floats(), copies=floats(), decoys=floats(), searched=0, precision=precision)


def test_the_sentences_say_first_what_share_is_found():
    found = choose(
        floats(0.99, 0.98), copies=floats(*[0.97] * 400), decoys=floats(0.2), searched=30
    )
    first, kinds, how = found.lines()
    assert first.startswith("finds 100.0% (99% to 100%) of 400 copies")
    assert first.endswith("an estimated 100.0% of the 2 pairs are right")
    assert kinds == "found of each kind: resized 100% (99% to 100%)"
    for words in ("0.940 or more", "30 decoys", "0 such", "99.0% right asked"):
        assert words in how


def test_only_plain_copies_set_the_start():
    # what is cut in half agrees less, and would let in all that is half alike
    copies = floats(*[0.98] * 20, *[0.5] * 20)
    found = choose_threshold(
        floats(0.97, 0.9),
        copies=copies,
        kinds=["resized"] * 20 + ["cropped"] * 20,
        decoys=floats(),
        searched=0,
    )
    assert found.value == pytest.approx(0.96)
    assert [(each.kind, each.share) for each in found.recalls] == [("resized", 1), ("cropped", 0)]
    assert found.recall.share == 0.5
    with pytest.raises(ValueError, match="kinds must be as many"):
        choose_threshold(floats(), copies=copies, kinds=[], decoys=floats(), searched=0)


def test_a_recall_that_has_collapsed_is_said():
    options = {"copies": floats(*[0.9] * 50), "searched": 4}
    chance = choose(floats(0.85, 0.95), decoys=floats(0.94, 0.93, 0.92), **options)
    assert chance.recall.share == 0
    assert chance.lines()[-1].startswith("warning: few copies are found at this precision")
    assert choose(floats(0.85, 0.95), decoys=floats(0.2), **options).warning == ""


def test_an_interval_is_where_the_score_test_would_not_refuse():
    """Wilson's ends are the shares p at which |found / n - p| is 1.96 of its standard errors."""
    for found, copies in ((0, 40), (38, 40), (40, 40), (5, 9)):
        each = Recall(kind="resized", found=found, copies=copies)
        low, high = each.interval
        assert 0 <= low <= each.share <= high <= 1
        for end in (low, high):
            if 0 < end < 1:
                error = (end * (1 - end) / copies) ** 0.5
                assert abs(each.share - end) == pytest.approx(1.96 * error)


def test_a_threshold_near_1_is_not_told_as_1():
    def level(value: float) -> str:
        return Threshold(
            value=value, asked=0.9, precision=None, pairs=0, mistakes=0, searched=0
        ).level

    assert [level(value) for value in (0.9, 0.99949, 0.99996, 1.0)] == [
        "0.900",
        "0.999",
        "0.99996",
        "1",
    ]
