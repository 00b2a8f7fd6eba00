"""Verdicts follow the rule that was written before the run."""

import math

import pytest

from lookalike import registry
from lookalike.papers.base import claims_of
from lookalike.papers.claims import (
    Arm,
    BeatsMost,
    BestBeatsEnd,
    Claim,
    Comparison,
    SameOrder,
    SmallerLoss,
)
from lookalike.papers.measures import MEASURES

REPRODUCED, INCONCLUSIVE, NOT = "reproduced", "inconclusive", "not reproduced"


@pytest.mark.parametrize(
    ("better", "worse", "margin", "verdict"),
    [
        ((0.8, 0.9), (0.7, 0.6), 0.0, REPRODUCED),
        ((0.8, 0.9), (0.7, 0.95), 0.0, INCONCLUSIVE),  # ahead on average, not with every seed
        ((0.8, 0.9), (0.7, 0.6), 0.3, INCONCLUSIVE),  # ahead, by less than the margin
        ((0.8, 0.9), (0.8, 0.9), 0.0, NOT),
        ((0.7, 0.6), (0.8, 0.9), 0.0, NOT),
        ((0.9,), (0.8,), 0.0, REPRODUCED),
    ],
)
def test_a_comparison_is_judged_seed_by_seed(better, worse, margin, verdict):
    comparison = Comparison(better="a", worse="b", margin=margin)
    assert comparison.judge({"a": better, "b": worse}) == verdict


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        (((0.9, 0.8), (0.8, 0.8)), ((0.9, 0.6), (0.9, 0.7)), REPRODUCED),
        (((0.9, 0.8), (0.8, 0.5)), ((0.9, 0.5), (0.9, 0.8)), INCONCLUSIVE),  # not with every seed
        (((0.9, 0.7), (0.8, 0.6)), ((0.5, 0.4), (0.5, 0.4)), NOT),  # better, but it loses more
    ],
)
def test_what_is_lost_is_compared_seed_by_seed(a, b, verdict):
    rule = SmallerLoss(better=("a", "a, hard"), worse=("b", "b, hard"))
    names = ("a", "a, hard"), ("b", "b, hard")
    scores = {
        name: [seed[place] for seed in way]
        for way, pair in zip((a, b), names, strict=True)
        for place, name in enumerate(pair)
    }
    assert rule.judge(scores) == verdict
    assert rule.describe() == "a to a, hard costs less than b to b, hard"


@pytest.mark.parametrize(
    ("a", "b", "end", "verdict"),
    [
        ((0.8, 0.9), (0.1, 0.1), (0.7, 0.6), REPRODUCED),
        ((0.1, 0.1), (0.8, 0.9), (0.7, 0.6), REPRODUCED),  # whichever is better
        ((0.9, 0.5), (0.5, 0.8), (0.6, 0.6), INCONCLUSIVE),  # each seed's best is ahead: no matter
        ((0.8, 0.8), (0.1, 0.1), (0.79, 0.79), INCONCLUSIVE),  # ahead, by less than the margin
        ((0.5, 0.5), (0.6, 0.6), (0.6, 0.6), NOT),
    ],
)
def test_the_best_of_several_is_one_for_all_seeds(a, b, end, verdict):
    rule = BestBeatsEnd(candidates=("a", "b"), end="end", margin=0.02)
    assert rule.judge({"a": a, "b": b, "end": end}) == verdict
    assert rule.describe() == "best of (a, b) > end, by 2.0%"


@pytest.mark.parametrize(
    ("ranks", "verdict"),
    [
        (((1, 2, 3, 4), (2, 1, 3, 4)), REPRODUCED),  # correlations 1 and 0.8
        (((1, 2, 3, 4), (3, 1, 4, 2)), INCONCLUSIVE),  # 1 and 0: not with every seed
        (((2, 1, 4, 3), (2, 3, 1, 4)), INCONCLUSIVE),  # 0.6 and 0.4, on average not above 0.5
        (((1, 2, 3, 4), (4, 3, 2, 1)), NOT),  # 1 and -1: 0 on average
        (((1, 2, 3, 4), (1, 1, 1, 1)), INCONCLUSIVE),  # 1, and no order at all
    ],
)
def test_orders_are_compared_seed_by_seed(ranks, verdict):
    """Four settings, whose accuracies are in the order 1, 2, 3, 4 with both seeds."""
    rule = SameOrder(pairs=tuple((f"{n}, x", f"{n}, y") for n in range(4)), above=0.5)
    scores = {f"{n}, x": [seed[n] / 10 for seed in ranks] for n in range(4)}
    scores |= {f"{n}, y": [0.5 + n / 10, n / 7] for n in range(4)}
    assert rule.judge(scores) == verdict
    squares = [sum((x - n) ** 2 for n, x in enumerate(seed, 1)) for seed in ranks]
    for found, square in zip(rule.leads(scores), squares, strict=True):
        assert math.isnan(found) or found == pytest.approx(1 - 6 * square / (4 * (16 - 1)))


@pytest.mark.parametrize(
    ("b", "c", "verdict"),
    [
        ((0.1, 0.1), (0.2, 0.2), REPRODUCED),
        ((0.1, 0.6), (0.2, 0.2), INCONCLUSIVE),
        ((0.1, 0.6), (0.9, 0.9), NOT),
    ],
)
def test_a_claim_is_as_good_as_its_worst_comparison(b, c, verdict):
    claim = Claim(
        name="it",
        says="a beats b and c",
        where="section 1",
        arms=tuple(Arm(name=name) for name in "abc"),
        comparisons=(Comparison(better="a", worse="b"), Comparison(better="a", worse="c")),
    )
    assert claim.judge({"a": (0.5, 0.5), "b": b, "c": c}) == verdict


@pytest.mark.parametrize("paper", registry.names("papers"))
def test_every_claim_compares_arms_that_it_has(paper):
    claims = claims_of(paper)
    assert len({claim.name for claim in claims}) == len(claims)
    for claim in claims:
        arms = {arm.name for arm in claim.arms}
        assert len(arms) == len(claim.arms)
        assert {name for each in claim.comparisons for name in each.arms} <= arms
        assert all(each.describe() for each in claim.comparisons)
        assert claim.comparisons
        assert {claim.measure, *(arm.measure for arm in claim.arms)} - {None} <= set(MEASURES)


def test_most_must_be_beaten_and_ties_count_half():
    rule = BeatsMost(better="one", others=("a", "b", "c", "d"), share=0.5)
    scores = {"one": [0.5, 0.5], "a": [0.4, 0.4], "b": [0.3, 0.6], "c": [0.1, 0.2], "d": [0.5, 0.7]}
    assert rule.leads(scores) == [0.875 - 0.5, 0.5 - 0.5]
    assert rule.judge(scores) == "inconclusive"
    assert rule.judge({**scores, "d": [0.5, 0.5]}) == "reproduced"
    assert rule.judge({**scores, "one": [0.0, 0.0]}) == "not reproduced"
    assert set(rule.arms) == set(scores)
    assert "more than 50% of a, b, c, d" in rule.describe()
