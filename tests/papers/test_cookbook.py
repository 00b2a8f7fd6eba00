"""The Cookbook's claims are the experiments that they say they are."""

from lookalike.papers.claims import BestBeatsEnd, SameOrder
from lookalike.papers.cookbook import CLAIMS

BY_NAME = {claim.name: claim for claim in CLAIMS}


def test_the_guillotine_is_one_training_seen_layer_by_layer():
    claim = BY_NAME["guillotine"]
    (rule,) = claim.comparisons
    assert isinstance(rule, BestBeatsEnd)
    assert all(not arm.settings for arm in claim.arms)  # so all arms share one run a seed
    assert claim.settings["method_arguments"] == {"layers": 3}
    assert [arm.name for arm in claim.arms] == [*rule.candidates, rule.end]
    assert rule.end == "projector 3"
    assert rule.margin > 0


def test_rankme_is_asked_of_at_least_eight_settings_of_one_method():
    claim = BY_NAME["rankme"]
    (rule,) = claim.comparisons
    assert isinstance(rule, SameOrder)
    assert len(rule.pairs) >= 8
    arms = {arm.name: arm for arm in claim.arms}
    trained = set()
    for first, second in rule.pairs:
        assert arms[first].settings == arms[second].settings
        assert (arms[first].measure, arms[second].measure) == ("rankme_share", "knn_top1")
        trained.add(repr(arms[first].settings))
    assert len(trained) == len(rule.pairs)
    assert all("method" not in arm.settings for arm in claim.arms)
    # the rank of a representation is a share of its width, so widths must be the same
    assert all(not key.startswith("backbone") for arm in claim.arms for key in arm.settings)
