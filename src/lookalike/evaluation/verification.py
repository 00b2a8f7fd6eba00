"""Same or not: how well one number a pair tells pairs of one thing from pairs of two.

A pair is accepted, taken for the same, if its score is AT LEAST a threshold. FAR(t) is the share of
different pairs accepted at t, TAR(t) of same pairs: FaceNet, Schroff et al. 2015, arXiv:1503.03832,
section 4, where VAL is TAR. Equal scores are accepted together or not at all.

- TAR at a FAR: at the lowest score t that any pair has with FAR(t) no more than asked. Nothing is
  interpolated, so the FAR that was asked for is kept on these pairs.
- EER: where the line through the points (FAR, 1 - TAR) crosses FAR = 1 - TAR. Its threshold is
  interpolated between the same two points.
- Accuracy: LFW's, Huang et al. 2007, UMass technical report 07-49. For each fold, the threshold
  with the best accuracy on the other folds; then the mean and its standard error over the folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike import _check

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
FEWEST_FALSE = 10  # different pairs that a FAR must let through, for its TAR to mean anything
FOLDS = 10  # as LFW has
DRAWN = 2**20  # pairs drawn at once by the bootstrap: bounds the memory it takes
POINTS = 400  # of a ROC that is kept, at most
BINS = 60

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What is accepted where so few different pairs are.

    Attributes:
        far: the share of different pairs that may be accepted.
        tar: the share of same pairs accepted then; None where `far` of the different pairs are
            fewer than 10, too few to tell.
        tar_ci95: its 95 % interval.
        threshold: score from which on a pair is accepted; None also where none is.
    """

    far: float
    tar: float | None = None
    tar_ci95: Interval | None = None
    threshold: float | None = None


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How well scores tell same pairs from different ones.

    Intervals are 95 % percentile intervals of a bootstrap over pairs, same and different ones drawn
    apart. Pairs that share an image or a person are drawn as if they did not, so where many do, the
    truth is less sure than the intervals are.

    Attributes:
        same_pairs: pairs of the same thing.
        different_pairs: all others.
        accuracy: mean over the folds; None where there are too few pairs for two folds.
        accuracy_se: its standard error: the deviation of the folds (n - 1) over the root of n.
        fold_accuracies: of each fold, by its number.
        fold_thresholds: the threshold used in each, which the others chose.
        folds: where the folds come from, in a sentence.
        auc: area under the ROC; ties count half.
        auc_ci95: its interval.
        eer: equal error rate.
        eer_ci95: its interval.
        eer_threshold: where it is.
        tar_at_far: operating points, FAR 0.1 first.
        roc: `far`, `tar` and `threshold` of at most 400 points of the ROC, ascending, both ends
            among them; the threshold of (0, 0) is the highest score, which it lies above.
        histogram: `edges` (61,) of scores and how many of `same` and `different` pairs lie between.
        bootstraps: draws that the intervals come from.
        seed: of these, and of folds where they are drawn.
    """

    same_pairs: int
    different_pairs: int
    accuracy: float | None
    accuracy_se: float | None
    fold_accuracies: tuple[float, ...]
    fold_thresholds: tuple[float, ...]
    folds: str
    auc: float
    auc_ci95: Interval | None
    eer: float
    eer_ci95: Interval | None
    eer_threshold: float
    tar_at_far: tuple[OperatingPoint, ...]
    roc: Mapping[str, tuple[float, ...]]
    histogram: Mapping[str, tuple[float, ...]]
    bootstraps: int
    seed: int

    @property
    def det(self) -> dict[str, tuple[float, ...]]:
        """The points of the ROC as two errors, `far` and `frr`, which is 1 - TAR."""
        return {"far": self.roc["far"], "frr": tuple(1 - tar for tar in self.roc["tar"])}

    def to_json(self) -> dict[str, Any]:
        """Return all of it as one object."""
        return asdict(self)


def verification(
    scores: npt.NDArray[np.floating],
    same: npt.NDArray[np.bool_],
    folds: npt.NDArray[np.integer] | None = None,
    *,
    seed: int = 0,
    bootstraps: int = 1000,
) -> Verification:
    """Judge scores of pairs.

    Args:
        scores: (P,), higher for what is more alike: cosines, or distances with a minus.
        same: (P,), whether a pair is of the same thing.
        folds: (P,) whole numbers >= 0, the fold of each pair; -1 throughout, or None, where there
            are none: 10 are then drawn, each with its part of the same and of the different pairs.
        seed: of every draw.
        bootstraps: draws for the intervals; 0 for none.

    Raises:
        ValueError: shapes differ, a score is not finite, all pairs are of one kind, some pairs have
            a fold and others none, or `bootstraps` is negative.
    """
    exact, same = np.asarray(scores, dtype=np.float64), np.asarray(same, dtype=bool)
    _check.labels_of(len(exact), scores=exact, same=same)
    _check.at_least(0, bootstraps=bootstraps)
    if not np.isfinite(exact).all():
        raise ValueError(f"scores must be finite, got {(~np.isfinite(exact)).sum()} that are not")
    if same.all() or not same.any():
        raise ValueError(
            f"same must hold pairs of both kinds, got {same.sum()} same of {len(same)} pairs"
        )
    values, place = _descending(exact)
    folds, origin = _folds(same, folds, seed=seed)
    accuracies, thresholds = _cross_validate(values, place, same, folds)
    counts = np.stack([np.bincount(place[kind], minlength=len(values)) for kind in (same, ~same)])
    tar, far = _shares(counts)  # (1 + V,) each
    found = _rates(tar[None], far[None])
    low, high = _bootstrap(place, same, seed=seed, count=bootstraps)
    eer_threshold = _between(values, *_crossing(tar[None], far[None]))

    def interval(number: int) -> Interval | None:
        return (float(low[number]), float(high[number])) if bootstraps else None

    return Verification(
        same_pairs=int(same.sum()),
        different_pairs=int((~same).sum()),
        accuracy=float(accuracies.mean()) if len(accuracies) else None,
        accuracy_se=float(accuracies.std(ddof=1) / np.sqrt(len(accuracies)))
        if len(accuracies)
        else None,
        fold_accuracies=tuple(accuracies.tolist()),
        fold_thresholds=tuple(thresholds.tolist()),
        folds=origin,
        auc=float(found[0, 0]),
        auc_ci95=interval(0),
        eer=float(found[0, 1]),
        eer_ci95=interval(1),
        eer_threshold=eer_threshold,
        tar_at_far=tuple(
            _operating_point(asked, float(found[0, number]), interval(number), values, far, same)
            for number, asked in enumerate(FARS, start=2)
        ),
        roc=_thin(tar, far, np.concatenate([values[:1], values])),
        histogram=_histogram(exact, same),
        bootstraps=bootstraps,
        seed=seed,
    )


class _Distinct(NamedTuple):
    """The V distinct scores, highest first, and each pair's place among them."""

    values: Floats
    place: Counts


def _descending(scores: Floats) -> _Distinct:
    values, place = np.unique(-scores, return_inverse=True)
    return _Distinct(-values, place.reshape(-1))


def _shares(counts: Counts) -> npt.NDArray[np.float64]:
    """Return what is accepted from each score on, first from above all of them.

    Args:
        counts: (..., V) pairs of each score, highest first.

    Returns:
        (..., 1 + V) shares in [0, 1], ascending, 0 first and 1 last.
    """
    reached = np.zeros((*counts.shape[:-1], counts.shape[-1] + 1))
    np.cumsum(counts, axis=-1, out=reached[..., 1:])
    result: npt.NDArray[np.float64] = reached / reached[..., -1:]
    return result


def _rates(tar: Floats, far: Floats) -> Floats:
    """Return AUC, EER and the TAR at each of `FARS` of B ROCs, (B, 1 + V) each: (B, 2 + 6)."""
    auc = (np.diff(far) * (tar[:, 1:] + tar[:, :-1])).sum(axis=1) / 2
    after, share = _crossing(tar, far)
    rows = np.arange(len(far))
    eer = far[rows, after - 1] * (1 - share) + far[rows, after] * share
    last = [(far <= asked).sum(axis=1) - 1 for asked in FARS]  # 0 is below all
    return np.stack([auc, eer, *(tar[rows, each] for each in last)], axis=1)


def _crossing(tar: Floats, far: Floats) -> tuple[Counts, Floats]:
    """Return the first point where FAR has reached 1 - TAR, and how far before it they are equal.

    That is (B,) places >= 1 and (B,) shares of the way from the point before, in (0, 1].
    """
    gap = far + tar - 1  # from -1 up to 1
    after = (gap >= 0).argmax(axis=1)
    rows = np.arange(len(gap))
    before = gap[rows, after - 1]
    return after, -before / (gap[rows, after] - before)


def _between(values: Floats, after: Counts, share: Floats) -> float:
    """Return the score at a share of the way between two points; before the first is the first."""
    first, second = values[max(int(after[0]) - 2, 0)], values[int(after[0]) - 1]
    return float(first + (second - first) * share[0])


def _operating_point(  # noqa: PLR0917
    asked: float,
    tar: float,
    interval: Interval | None,
    values: Floats,
    far: Floats,
    same: npt.NDArray[np.bool_],
) -> OperatingPoint:
    if asked * (~same).sum() < FEWEST_FALSE * (1 - 1e-9):  # 0.01 * 1000 may be a hair below 10
        return OperatingPoint(far=asked)
    last = int((far <= asked).sum()) - 1
    threshold = float(values[last - 1]) if last else None
    return OperatingPoint(far=asked, tar=tar, tar_ci95=interval, threshold=threshold)


def _bootstrap(
    place: Counts, same: npt.NDArray[np.bool_], *, seed: int, count: int
) -> tuple[Floats, Floats]:
    """Return the 2.5 % and 97.5 % points of `_rates` over pairs drawn with replacement."""
    random = np.random.default_rng(seed)
    kinds = place[same], place[~same]
    width = int(place.max()) + 1
    rows = max(1, DRAWN // len(place))
    parts = [np.zeros((0, 2 + len(FARS)))]
    for start in range(0, count, rows):
        size = min(rows, count - start)
        tar, far = (_shares(_draw(random, kind, size, width)) for kind in kinds)
        parts.append(_rates(tar, far))
    drawn = np.concatenate(parts)
    if not count:
        return drawn[:0], drawn[:0]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return low, high


def _draw(random: np.random.Generator, place: Counts, size: int, width: int) -> Counts:
    """Return how often each of `width` scores is drawn, (size, width), as many as there are."""
    drawn = place[random.integers(len(place), size=(size, len(place)))]
    drawn += np.arange(size)[:, None] * width
    return np.bincount(drawn.reshape(-1), minlength=size * width).reshape(size, width)


def _folds(
    same: npt.NDArray[np.bool_], folds: npt.NDArray[np.integer] | None, *, seed: int
) -> tuple[Counts, str]:
    """Return each pair's fold, numbered from 0, and where the folds come from."""
    if folds is not None:
        _check.labels_of(len(same), folds=folds)
        if (folds >= 0).all():
            names, numbers = np.unique(folds, return_inverse=True)
            return numbers.reshape(-1), f"the {len(names)} folds of the list of pairs"
        if (folds >= 0).any():
            raise ValueError(
                f"folds must be given for all pairs or none, got {(folds < 0).sum()} without"
            )
    kinds = np.flatnonzero(same), np.flatnonzero(~same)
    count = min(FOLDS, *map(len, kinds))
    numbers = np.zeros(len(same), dtype=np.int64)
    random = np.random.default_rng(seed)
    for kind in kinds:
        numbers[random.permutation(kind)] = np.arange(len(kind)) % count
    return numbers, (
        f"the list of pairs has no folds, so {count} were drawn with seed {seed}, each with its "
        "part of the same and of the different pairs; a person may be in several"
    )


def _cross_validate(
    values: Floats, place: Counts, same: npt.NDArray[np.bool_], folds: Counts
) -> tuple[Floats, Floats]:
    """Return the accuracy of each fold and the threshold that the others chose for it.

    Thresholds lie halfway between two scores of the other folds. Where several are equally good,
    the middle one of them is taken.
    """
    count = int(folds.max()) + 1
    if count < 2:
        return np.zeros(0), np.zeros(0)
    signs = np.where(same, 1, -1)
    accuracies, thresholds = np.zeros(count), np.zeros(count)
    for fold in range(count):
        asked = folds == fold
        seen = np.unique(place[~asked])  # the other folds' scores, highest first
        gains = np.bincount(place[~asked], weights=signs[~asked], minlength=len(values))[seen]
        right = np.concatenate([[0], gains.cumsum()])  # less the different pairs, a constant
        best = np.flatnonzero(right == right.max())
        thresholds[fold] = _halfway(values[seen], int(best[(len(best) - 1) // 2]))
        accuracies[fold] = ((values[place[asked]] >= thresholds[fold]) == same[asked]).mean()
    return accuracies, thresholds


def _halfway(values: Floats, accepted: int) -> float:
    """Return a threshold that accepts so many of these scores, which descend."""
    if accepted == 0:
        return float(np.nextafter(values[0], np.inf))
    if accepted == len(values):
        return float(values[-1])
    above, below = values[accepted - 1], values[accepted]
    middle = below + (above - below) / 2
    return float(middle if middle > below else above)


def _thin(tar: Floats, far: Floats, thresholds: Floats) -> dict[str, tuple[float, ...]]:
    """Return points of a ROC that draw it well, on a plain axis and on one of powers of ten."""
    smallest = far[far > 0][0]
    powers, steps = np.geomspace(smallest, 1, POINTS // 4), np.linspace(0, 1, POINTS // 2 - 2)
    wanted: list[Counts] = [
        np.searchsorted(far, powers, side="right") - 1,  # before a step to the right, and after
        np.searchsorted(far, powers, side="left").clip(max=len(far) - 1),
        np.searchsorted(tar, steps, side="left").clip(max=len(far) - 1),
        np.array([0, len(far) - 1]),
    ]
    kept = np.unique(np.concatenate(wanted))
    columns = {"far": far, "tar": tar, "threshold": thresholds}
    return {name: tuple(column[kept].tolist()) for name, column in columns.items()}


def _histogram(scores: Floats, same: npt.NDArray[np.bool_]) -> dict[str, tuple[float, ...]]:
    low, high = float(scores.min()), float(scores.max())
    least = 1e-9 * max(abs(low), abs(high)) or 1.0  # nearly equal scores cannot be cut in 60
    edges = np.linspace(low, max(high, low + least), BINS + 1)
    return {
        "edges": tuple(edges.tolist()),
        **{
            name: tuple(np.histogram(scores[kind], edges)[0].tolist())
            for name, kind in (("same", same), ("different", ~same))
        },
    }
