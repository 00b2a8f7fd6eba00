"""Verification against scikit-learn, slow loops over thresholds and pairs, and closed forms."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from lookalike.evaluation import verification as module
from lookalike.evaluation.verification import FARS, Verification, verification


def drawn(count: int = 200, *, apart: float = 1.5, seed: int = 0, ties: bool = False):
    """Return scores of same and different pairs, normal and so far apart."""
    random = np.random.default_rng(seed)
    same = random.permutation(np.arange(count) % 2 == 0)
    scores = random.normal(size=count) + apart * same
    return (scores.round(0 if ties else 12), same)


def accepted(scores, same, threshold):
    """Return (FAR, TAR) at a threshold by counting."""
    taken = [score >= threshold for score in scores]
    false = sum(t for t, s in zip(taken, same, strict=True) if not s) / sum(not s for s in same)
    true = sum(t for t, s in zip(taken, same, strict=True) if s) / sum(same)
    return false, true


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_roc_and_its_area_are_scikit_learns(seed: int, ties: bool) -> None:
    scores, same = drawn(seed=seed, ties=ties)
    found = verification(scores, same, bootstraps=0)
    assert found.auc == pytest.approx(roc_auc_score(same, scores), abs=1e-12)
    far, tar, thresholds = roc_curve(same, scores, drop_intermediate=False)
    theirs = dict(zip(thresholds[1:].tolist(), zip(far[1:], tar[1:], strict=True), strict=True))
    points = list(zip(*found.roc.values(), strict=True))
    assert points[0][:2] == (0, 0)
    assert points[-1][:2] == (1, 1)
    for far_here, tar_here, threshold in points[1:]:
        assert theirs[threshold] == pytest.approx((far_here, tar_here), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_area_is_the_share_of_couples_in_order(seed: int, ties: bool) -> None:
    scores, same = drawn(60, seed=seed, ties=ties)
    couples = [(a > b) + (a == b) / 2 for a in scores[same] for b in scores[~same]]
    assert verification(scores, same, bootstraps=0).auc == pytest.approx(np.mean(couples))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("apart", [0.0, 1.5, -1.0])
def test_the_tar_at_a_far_is_the_best_that_keeps_it(apart: float, ties: bool) -> None:
    scores, same = drawn(420, apart=apart, ties=ties)
    found = verification(scores, same, bootstraps=0)
    for point in found.tar_at_far[:1]:
        allowed = [accepted(scores, same, t) for t in set(scores)]
        assert point.tar == max((tar for far, tar in allowed if far <= point.far), default=0)
        if point.threshold is not None:
            assert accepted(scores, same, point.threshold)[0] <= point.far
            below = max((s for s in scores if s < point.threshold), default=-np.inf)
            assert accepted(scores, same, below)[0] > point.far  # it is the lowest such score


def test_a_far_that_too_few_pairs_can_tell_of_is_none() -> None:
    for different, told in ((99, 0), (100, 1), (999, 1), (1000, 2), (10_000, 3)):
        same = np.arange(different + 5) < 5
        points = verification(np.arange(len(same)), same, bootstraps=0).tar_at_far
        assert [point.far for point in points] == list(FARS)
        assert [point.tar is not None for point in points] == [True] * told + [False] * (6 - told)
        assert all(p.threshold is None and p.tar_ci95 is None for p in points[told:])


def test_where_no_pair_may_be_accepted_nothing_is() -> None:
    same = np.arange(400) < 200
    found = verification(np.where(same, 0.0, 1.0), same, bootstraps=0)  # all impostors on top
    assert found.tar_at_far[0].tar == 0
    assert found.tar_at_far[0].threshold is None
    assert (found.auc, found.eer) == (0, 1)


def test_equal_errors_of_two_normals() -> None:
    apart = 2.0
    scores, same = drawn(200_000, apart=apart)
    found = verification(scores, same, bootstraps=0)
    eer = math.erfc(apart / 2 / math.sqrt(2)) / 2  # the tail beyond the middle
    area = 1 - math.erfc(apart / math.sqrt(2) / math.sqrt(2)) / 2  # of a difference, sd sqrt(2)
    assert found.eer == pytest.approx(eer, abs=0.003)
    assert found.eer_threshold == pytest.approx(apart / 2, abs=0.02)
    assert found.auc == pytest.approx(area, abs=0.002)
    far, tar = accepted(scores, same, found.eer_threshold)
    assert far == pytest.approx(1 - tar, abs=1e-4)


def test_equal_errors_lie_on_the_line_between_two_points() -> None:
    # accepted above 3, 2, 1, 0: FAR 0, 1/4, 1/2, 1; FRR 1, 2/3, 0, 0. The line from (1/4, 2/3) to
    # (1/2, 0) is met at 1/4 + s/4 = 2/3 - 2s/3, s = 5/11.
    scores = np.array([2, 1, 1, 2, 1, 0, 0.0])
    same = np.array([1, 1, 1, 0, 0, 0, 0], dtype=bool)
    found = verification(scores, same, bootstraps=0)
    assert found.eer == pytest.approx(1 / 4 + 5 / 44)
    assert found.eer_threshold == pytest.approx(2 - 5 / 11)


def test_perfect_and_useless_scores() -> None:
    same = np.arange(400) % 2 == 0
    perfect = verification(same * 1.0, same, seed=1)
    assert (perfect.auc, perfect.eer, perfect.accuracy, perfect.accuracy_se) == (1, 0, 1, 0)
    assert perfect.tar_at_far[0].tar == 1
    assert perfect.auc_ci95 == (1, 1)
    assert perfect.eer_ci95 == (0, 0)
    useless = verification(np.zeros(400), same, seed=1)
    assert (useless.auc, useless.eer, useless.accuracy) == (0.5, 0.5, 0.5)
    assert useless.tar_at_far[0].tar == 0  # equal scores are accepted together


def slow_accuracy(scores, same, folds):
    """Return each fold's accuracy by trying every way to cut the others' scores."""
    found = []
    for fold in sorted(set(folds)):
        others = [(s, y) for s, y, f in zip(scores, same, folds, strict=True) if f != fold]
        levels = sorted({s for s, _ in others})
        middles = [(a + b) / 2 for a, b in pairwise(levels)]
        cuts = [levels[0] - 1, *middles, levels[-1] + 1]
        right = [sum((s >= cut) == y for s, y in others) for cut in cuts]
        best = [cut for cut, count in zip(cuts, right, strict=True) if count == max(right)]
        asked = [(s, y) for s, y, f in zip(scores, same, folds, strict=True) if f == fold]
        found.append([np.mean([(s >= cut) == y for s, y in asked]) for cut in best])
    return found


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_each_folds_threshold_comes_from_the_others(seed: int, ties: bool) -> None:
    scores, same = drawn(120, seed=seed, ties=ties, apart=1.0)
    folds = np.random.default_rng(seed).permutation(120) % 5 * 7
    found = verification(scores, same, folds, bootstraps=0)
    slow = slow_accuracy(scores.tolist(), same.tolist(), folds.tolist())
    for accuracy, equally_good in zip(found.fold_accuracies, slow, strict=True):
        assert any(accuracy == pytest.approx(each) for each in equally_good)
    for fold, threshold in zip(np.unique(folds), found.fold_thresholds, strict=True):
        others = folds != fold
        right = ((scores[others] >= threshold) == same[others]).mean()
        best = max(((scores[others] >= t) == same[others]).mean() for t in [*scores, np.inf])
        assert right == pytest.approx(best)
    accuracies = found.fold_accuracies
    assert found.accuracy == pytest.approx(sum(accuracies) / 5)
    variance = sum((each - found.accuracy) ** 2 for each in accuracies) / 4
    assert found.accuracy_se == pytest.approx(math.sqrt(variance / 5))
    assert found.folds == "the 5 folds of the list of pairs"


def test_a_fold_is_judged_by_a_threshold_it_did_not_choose() -> None:
    # fold 1 is the other way round: it would choose another threshold, and is all wrong with this
    scores, same = np.array([0, 1, 0, 1.0]), np.array([0, 1, 1, 0], dtype=bool)
    found = verification(scores, same, np.array([0, 0, 1, 1]), bootstraps=0)
    assert found.fold_accuracies[1] == 0


def test_of_equally_good_thresholds_the_middle_one() -> None:
    # Accepting the first one, three or five of fold 0 is right for 4 of its 6 each time.
    scores = np.array([6, 5, 4, 3, 2, 1, 3.5, 3.6])
    same = np.array([1, 0, 1, 0, 1, 0, 1, 0], dtype=bool)
    found = verification(scores, same, np.array([0] * 6 + [1] * 2), bootstraps=0)
    assert found.fold_thresholds[1] == (4 + 3) / 2  # of 5.5, 3.5 and 1.5


def test_drawn_folds_have_their_part_of_each_kind() -> None:
    same = np.arange(1000) < 300
    folds, said = module._folds(same, None, seed=3)
    assert np.bincount(folds[same]).tolist() == [30] * 10
    assert np.bincount(folds[~same]).tolist() == [70] * 10
    assert "10 were drawn with seed 3" in said
    assert not np.array_equal(folds, module._folds(same, None, seed=4)[0])
    np.testing.assert_array_equal(folds, module._folds(same, np.full(1000, -1), seed=3)[0])
    few = module._folds(np.arange(50) < 3, None, seed=0)[0]
    assert np.bincount(few[:3]).tolist() == [1, 1, 1]


def test_one_pair_of_a_kind_has_no_folds() -> None:
    found = verification(np.array([1.0, 0.0, 0.5]), np.array([True, False, False]))
    assert found.accuracy is found.accuracy_se is None
    assert found.fold_accuracies == found.fold_thresholds == ()
    assert found.auc == 1


def invariant(found: Verification) -> tuple:
    return (
        found.auc,
        found.eer,
        found.auc_ci95,
        found.eer_ci95,
        [(point.tar, point.tar_ci95) for point in found.tar_at_far],
        found.roc["far"],
        found.roc["tar"],
    )


def test_only_the_order_of_scores_matters() -> None:
    scores, same = drawn(300, ties=True)
    folds = np.arange(300) % 3
    plain = verification(scores, same, folds)
    bent = verification(np.exp(scores / 2) - 7, same, folds)
    assert invariant(plain) == invariant(bent)
    assert plain.fold_accuracies == bent.fold_accuracies


def test_the_order_of_pairs_does_not_matter() -> None:
    scores, same = drawn(300)
    folds, order = np.arange(300) % 3, np.random.default_rng(1).permutation(300)
    plain = verification(scores, same, folds, bootstraps=0)
    mixed = verification(scores[order], same[order], folds[order], bootstraps=0)
    assert plain == mixed


def test_scores_of_any_precision_and_none_is_changed() -> None:
    scores, same = drawn(300)
    for kind in (np.float16, np.float32):
        low = scores.astype(kind)
        kept = low.copy()
        assert verification(low, same) == verification(low.astype(np.float64), same)
        np.testing.assert_array_equal(low, kept)


def test_adjacent_numbers_can_be_told_apart() -> None:
    low = 0.1
    high = np.nextafter(low, 1)
    same = np.arange(40) % 2 == 0
    assert verification(np.where(same, high, low), same, bootstraps=0).accuracy == 1


def test_the_bootstrap_is_one_over_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, same = drawn(200, ties=True)
    found = verification(scores, same, seed=5, bootstraps=50)
    random = np.random.default_rng(5)
    kinds = scores[same], scores[~same]
    draws = [kind[random.integers(100, size=(50, 100))] for kind in kinds]
    slow = []
    for true, false in zip(*draws, strict=True):
        again = verification(
            np.concatenate([true, false]), np.arange(200) < 100, bootstraps=0, seed=1
        )
        slow.append([again.auc, again.eer, again.tar_at_far[0].tar])
    expected = np.quantile(slow, [0.025, 0.975], axis=0).T
    intervals = [found.auc_ci95, found.eer_ci95, found.tar_at_far[0].tar_ci95]
    np.testing.assert_allclose(intervals, expected, atol=1e-12)
    monkeypatch.setattr(module, "DRAWN", 200 * 50)  # all fifty at once, as they were
    assert verification(scores, same, seed=5, bootstraps=50) == found


@pytest.mark.parametrize("limit", [1, 600])
def test_draws_in_parts_are_as_many(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    scores, same = drawn(200)
    whole = verification(scores, same, bootstraps=400)
    monkeypatch.setattr(module, "DRAWN", limit)
    parts = verification(scores, same, bootstraps=400)
    np.testing.assert_allclose(parts.auc_ci95, whole.auc_ci95, atol=0.02)


def test_the_interval_of_a_share_is_the_binomials() -> None:
    # TAR above a threshold that no draw of different pairs moves: a share of 400, so normal
    same = np.arange(800) < 400
    scores = np.where(same, np.arange(800) % 4 < 3, 0).astype(float)  # 3 in 4 are accepted
    low, high = verification(scores, same, bootstraps=4000).tar_at_far[0].tar_ci95
    reach = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    np.testing.assert_allclose([low, high], [0.75 - reach, 0.75 + reach], atol=0.005)


def test_the_same_seed_draws_the_same() -> None:
    scores, same = drawn(300)
    assert verification(scores, same, seed=2) == verification(scores, same, seed=2)
    assert verification(scores, same, seed=2) != verification(scores, same, seed=3)


@pytest.mark.parametrize("count", [10, 50_000])
def test_a_thinned_roc_stays_close_to_all_of_it(count: int) -> None:
    scores, same = drawn(count)
    found = verification(scores, same, bootstraps=0)
    far, tar, threshold = (np.array(found.roc[name]) for name in ("far", "tar", "threshold"))
    assert len(far) <= module.POINTS
    assert (np.diff(far) >= 0).all()
    assert (np.diff(tar) >= 0).all()
    assert (np.diff(threshold) <= 0).all()
    whole = roc_curve(same, scores, drop_intermediate=False)[:2]
    grid = np.geomspace(1e-3, 1, 200)
    assert np.abs(np.interp(grid, far, tar) - np.interp(grid, *whole)).max() < 0.02
    np.testing.assert_allclose(found.det["frr"], 1 - tar)


def test_every_pair_is_in_the_histogram() -> None:
    scores, same = drawn(1000)
    found = verification(scores, same, bootstraps=0).histogram
    for name, kind in (("same", same), ("different", ~same)):
        assert sum(found[name]) == kind.sum()
        edges = found["edges"]
        assert found[name][7] == ((scores[kind] >= edges[7]) & (scores[kind] < edges[8])).sum()
    assert (found["edges"][0], found["edges"][-1]) == (scores.min(), scores.max())


def test_it_is_one_object_of_plain_values() -> None:
    scores, same = drawn(300)
    for bootstraps in (0, 10):
        found = verification(scores, same, bootstraps=bootstraps)
        told = json.loads(json.dumps(found.to_json(), allow_nan=False))
        assert told["auc"] == found.auc
        assert told["tar_at_far"][0]["tar"] == found.tar_at_far[0].tar
    assert verification(scores, same, bootstraps=0).auc_ci95 is None


SAME = np.array([True, False, True, False])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"scores": np.zeros(3), "same": SAME}, r"same must have shape \(3,\)"),
        ({"scores": np.zeros((4, 1)), "same": SAME}, r"scores must have shape \(4,\)"),
        ({"scores": np.array([0, 1, np.nan, np.inf]), "same": SAME}, "got 2 that are not"),
        ({"scores": np.zeros(4), "same": SAME | True}, "both kinds, got 4 same of 4"),
        ({"scores": np.zeros(4), "same": SAME & False}, "both kinds, got 0 same of 4"),
        ({"scores": np.zeros(0), "same": SAME[:0]}, "both kinds"),
        ({"scores": np.zeros(4), "same": SAME, "folds": np.zeros(3, int)}, "folds must have shape"),
        ({"scores": np.zeros(4), "same": SAME, "folds": np.array([0, 1, -1, 0])}, "got 1 without"),
        ({"scores": np.zeros(4), "same": SAME, "bootstraps": -1}, "bootstraps must be at least 0"),
    ],
)
def test_refuses_what_cannot_be(arguments: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        verification(**arguments)
