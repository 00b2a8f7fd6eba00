"""Verdicts follow the rule that was written before the run."""

import pytest

from lookalike import registry
from lookalike.papers.base import claims_of
from lookalike.papers.claims import Arm, Claim, Comparison
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
        assert {each.better for each in claim.comparisons} <= arms
        assert {each.worse for each in claim.comparisons} <= arms
        assert claim.comparisons
        assert {claim.measure, *(arm.measure for arm in claim.arms)} - {None} <= set(MEASURES)
