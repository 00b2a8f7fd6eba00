"""The triplet engine: sums over the triplets of a batch that never hold them, nor all distances.

A tile holds the distances of some anchors from all rows. What a rule makes of it is the sum of its
terms, and the derivative of that sum by each distance, from which matrix products make the gradient
of the rows. All triplets of an anchor are counted by one sort of its distances; where its positives
are few, each in turn against all negatives is faster. Memory is O(N D) and some tiles; time is
O(N^2 (D + log N)), and with K positives in turn O(N^2 (D + K)).

Value and gradient are made in one pass, and backward scales what is there. The sums are opaque to
torch.compile, as the reductions of `similarity` are, and cannot be differentiated twice.
"""

import math
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.pairwise.distances import pair_squares, tiles_of, widened

Mining = Literal["batch_hard", "batch_all", "semi_hard", "hard", "easy", "random"]

FEW = 64  # positives of an anchor, up to which a sort is slower on a CPU


def triplet_sums(
    rows: Tensor, labels: Tensor, *, mining: Mining, margin: float | None, squared: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum over the mined triplets, how many of them are above 0, and how many there are.

    Args:
        rows: (N, D), as `centred` returns them.
        labels: (N,) integers.
        mining: which triplets; see `losses.triplet`.
        margin: of the hinge; None takes the soft margin. "semi_hard" needs one.
        squared: whether distances are squared.

    Returns:
        () with the gradient of the rows; () int64; () int64.
    """
    draws = torch.rand_like(rows[:, 0]) if mining == "random" else None
    wants = torch.is_grad_enabled() and rows.requires_grad
    total, active, count, _ = torch.ops.lookalike.triplet_sums(
        rows, labels, draws, mining, margin, squared, wants
    )
    return total, active, count


class _Classes:
    """Where the rows of each row's class are, found without waiting for the device."""

    def __init__(self, labels: Tensor) -> None:
        self.labels = labels = labels.contiguous()  # a search warns of a column
        ordered, self.order = labels.sort(stable=True)  # (N,): the rows of a class stand together
        self.start = torch.searchsorted(ordered, labels)  # (N,), where a row's class begins
        self.size = torch.searchsorted(ordered, labels, right=True) - self.start  # (N,)
        self.place = torch.empty_like(self.order).scatter_(  # (N,), where the row is itself
            0, self.order, torch.arange(len(labels), device=labels.device)
        )

    def positive(self, i: slice, step: int) -> tuple[Tensor, Tensor]:
        """Return the row `step` places on in each row's class, (I, 1), and if it is another."""
        start, size = self.start[i], self.size[i]
        at = start + (self.place[i] - start + step) % size
        return self.order[at, None], (step < size)[:, None]

    def negative(self, i: slice, shares: Tensor) -> Tensor:
        """Return the negative at shares in [0, 1) of each row's negatives, (I, J)."""
        start, size = self.start[i, None], self.size[i, None]
        count = len(self.labels) - size
        rank = torch.minimum((shares * count).long(), count - 1).clamp_min(0)
        at = (rank + size * (rank >= start)).clamp_max(len(self.labels) - 1)
        return self.order[at]


class _Tile(NamedTuple):
    """Distances of anchors I from all rows J; I and J are numbers of rows too."""

    distances: Tensor  # (I, J)
    positive: Tensor  # (I, J)
    negative: Tensor  # (I, J)
    classes: _Classes
    i: slice

    def nearest(self, among: Tensor) -> Tensor:
        return self.distances.where(among, math.inf).argmin(1, keepdim=True)  # (I, 1)

    def farthest(self, among: Tensor) -> Tensor:
        return self.distances.where(among, -math.inf).argmax(1, keepdim=True)  # (I, 1)

    def triplets(self) -> Tensor:
        """Return how many triplets the anchors have."""
        size = self.classes.size[self.i]
        return ((size - 1) * (len(self.classes.labels) - size)).sum()


class _Terms(NamedTuple):
    """What a rule makes of a tile."""

    total: Tensor  # () sum of the terms
    active: Tensor  # () how many are above 0
    number: Tensor  # () how many there are
    slopes: Tensor  # (I, J) derivative of the sum by each distance


def _all_by_positives(tile: _Tile, margin: float | None, most: int) -> _Terms:
    """Take every triplet: each positive of an anchor in turn, against all negatives at once."""
    far = tile.distances.where(tile.negative, math.inf)  # (I, J); what is none gives a term of 0
    slopes, total = torch.zeros_like(far), far.new_zeros(())
    for step in range(1, most):
        column, other = tile.classes.positive(tile.i, step)
        near = tile.distances.gather(1, column).where(other, -math.inf)  # (I, 1)
        if margin is None:
            gaps = near - far
            total += F.softplus(gaps).sum()
            slope = gaps.sigmoid_()
        else:
            slope = (near + margin).sub(far).gt_(0)  # as numbers: four times faster than as bool
        slopes -= slope
        slopes.scatter_add_(1, column, slope.sum(1, keepdim=True))
    if margin is None:
        return _Terms(total, tile.triplets(), tile.triplets(), slopes)
    return _of_counts(tile, slopes, margin)


def _all_by_sort(tile: _Tile, margin: float) -> _Terms:
    """Take every triplet of a hinge: by a sort, which counts those that each row is active in."""
    keys = tile.distances.where(~tile.positive, _next(tile.distances + margin, -math.inf))
    order = keys.argsort(1)  # (I, J)
    positive, negative = tile.positive.gather(1, order), tile.negative.gather(1, order)
    nearer = negative.cumsum(1).where(positive, 0)  # negatives in reach of each positive
    farther = positive.sum(1, keepdim=True) - positive.cumsum(1)  # positives that reach each one
    counts = nearer - farther.where(negative, 0)
    slopes = torch.zeros_like(keys).scatter_(1, order, counts.to(keys.dtype))
    return _of_counts(tile, slopes, margin)


def _of_counts(tile: _Tile, slopes: Tensor, margin: float) -> _Terms:
    """Return the terms of a hinge: a slope is in how many active triplets a distance stands."""
    active = slopes.relu().sum(1).long().sum()  # each has one positive; a row's sum is exact
    total = (slopes * tile.distances).sum() + margin * active.to(slopes.dtype)
    return _Terms(total, active, tile.triplets(), slopes)


def _next(keys: Tensor, towards: float) -> Tensor:
    """Return the next number, so that a tie is sorted to the side where it does not count."""
    return keys.nextafter(torch.full_like(keys, towards))


def _semi_hard_by_positives(tile: _Tile, margin: float, most: int) -> _Terms:
    """Take each positive of an anchor in turn, with the nearest negative that is farther."""
    far = tile.distances.where(tile.negative, math.inf)  # (I, J)
    slopes, total = torch.zeros_like(far), far.new_zeros(())
    count = far.new_zeros((), dtype=torch.int64)
    for step in range(1, most):
        column, other = tile.classes.positive(tile.i, step)
        gaps = F.threshold(far - tile.distances.gather(1, column), 0, math.inf)  # (I, J)
        gap, where = gaps.min(1, keepdim=True)  # (I, 1)
        inside = other & (gap < margin)
        total += (margin - gap).where(inside, 0).sum()
        count += inside.sum()
        slope = inside.to(far.dtype)
        slopes.scatter_add_(1, column, slope).scatter_add_(1, where, -slope)
    return _Terms(total, count, count, slopes)


def _semi_hard_by_sort(tile: _Tile, margin: float) -> _Terms:
    """Take every positive pair with the negative that comes after it in order."""
    keys = tile.distances.where(~tile.positive, _next(tile.distances, math.inf))
    order = keys.argsort(1)  # (I, J)
    last = keys.shape[1] - 1
    places = torch.arange(last + 1, device=keys.device)
    following = places.where(tile.negative.gather(1, order), last).flip(1).cummin(1).values.flip(1)
    where = torch.empty_like(order).scatter_(1, order, order.gather(1, following))
    gaps = tile.distances.gather(1, where) - tile.distances
    return _pairs(tile, where, margin, tile.positive & (gaps > 0) & (gaps < margin))


def _pairs(tile: _Tile, where: Tensor, margin: float | None, chosen: Tensor) -> _Terms:
    """Take the chosen positive pairs, (I, J), each with the row at `where`, (I, J) or (I, 1).

    A pair has no term where that row is no negative.
    """
    chosen = chosen & tile.negative.gather(1, where)
    gaps = tile.distances - tile.distances.gather(1, where)
    terms, slopes = (part.where(chosen, 0) for part in _bend(gaps, margin))
    taken = slopes if where.shape == slopes.shape else slopes.sum(1, keepdim=True)
    slopes = slopes.scatter_add(1, where, -taken)
    return _Terms(terms.sum(), terms.count_nonzero(), chosen.sum(), slopes)


def _one(tile: _Tile, near: Tensor, far: Tensor, margin: float | None) -> _Terms:
    """Take one triplet an anchor: the positive at `near` and the negative at `far`, both (I, 1)."""
    there = tile.positive.gather(1, near) & tile.negative.gather(1, far)
    gaps = tile.distances.gather(1, near) - tile.distances.gather(1, far)
    terms, slope = (part.where(there, 0) for part in _bend(gaps, margin))
    slopes = torch.zeros_like(tile.distances).scatter_(1, near, slope).scatter_(1, far, -slope)
    return _Terms(terms.sum(), terms.count_nonzero(), there.sum(), slopes)


def _bend(gaps: Tensor, margin: float | None) -> tuple[Tensor, Tensor]:
    """Return the terms of d(a, p) - d(a, n), and their derivatives."""
    if margin is None:
        return F.softplus(gaps), gaps.sigmoid()
    return (gaps + margin).relu(), (gaps + margin).gt_(0)


def _terms_of(
    tile: _Tile, draws: Tensor | None, mining: str, margin: float | None, most: int | None
) -> _Terms:
    """Return what a rule makes of a tile; `most` rows of a class if they are few, else None."""
    match mining:
        case "batch_hard":
            terms = _one(tile, tile.farthest(tile.positive), tile.nearest(tile.negative), margin)
        case "easy":
            terms = _one(tile, tile.nearest(tile.positive), tile.farthest(tile.negative), margin)
        case "hard":
            terms = _pairs(tile, tile.nearest(tile.negative), margin, tile.positive)
        case "random" if draws is not None:
            terms = _pairs(tile, _drawn(tile, draws), margin, tile.positive)
        case "batch_all" if most is not None:
            terms = _all_by_positives(tile, margin, most)
        case "batch_all" if margin is not None:
            terms = _all_by_sort(tile, margin)
        case "semi_hard" if most is not None and margin is not None:
            terms = _semi_hard_by_positives(tile, margin, most)
        case "semi_hard" if margin is not None:
            terms = _semi_hard_by_sort(tile, margin)
        case _:
            raise ValueError(f"no such mining with margin {margin}: {mining!r}")
    return terms


def _drawn(tile: _Tile, draws: Tensor) -> Tensor:
    """Return a negative for every positive pair of a tile, (I, J).

    An anchor's draw is turned by the golden ratio from one positive to the next (in 16 bits): each
    pair's negative is uniform, and those of one anchor are spread out.
    """
    turns = torch.arange(len(draws), device=draws.device) * 40_503 % 65_536 / 65_536  # (J,)
    return tile.classes.negative(tile.i, (draws[tile.i, None] + turns) % 1)


def _sums(  # noqa: PLR0917  an operator's schema is positional
    rows: Tensor,
    labels: Tensor,
    draws: Tensor | None,
    mining: str,
    margin: float | None,
    squared: bool,
    wants_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return sum, active terms, all terms, and the gradient of the sum, (0,) if not wanted."""
    wide, classes = widened(rows), _Classes(labels)
    most = _few(classes, must=mining == "batch_all" and margin is None)
    nobody = torch.zeros_like(labels, dtype=torch.bool)  # (N,)
    total, active, count, gradient = _blank(rows, wants_gradient)
    total += 0 * rows.sum()  # so that a NaN shows, though no comparison lets it into a window
    pulls = torch.zeros_like(rows[:, 0])  # (N,)
    for i in tiles_of(rows):
        squares = pair_squares(wide[i], wide, rows.dtype)
        distances = squares if squared else squares.sqrt_()  # (I, J)
        same = labels[i, None] == labels  # (I, J)
        positive = same.diagonal_scatter(nobody[i], i.start)
        tile = _Tile(distances, positive, ~same, classes, i)
        terms = _terms_of(tile, draws, mining, margin, most)
        total += terms.total
        active += terms.active
        count += terms.number
        if wants_gradient:  # of a distance by a row: (a - b) / d, or 2 (a - b) for its square
            pull = terms.slopes / (0.5 if squared else F.threshold(distances, 0, math.inf))
            gradient[i].addmm_(pull, rows, alpha=-1)
            gradient.addmm_(pull.T, rows[i], alpha=-1)
            pulls[i] += pull.sum(1)
            pulls += pull.sum(0)
    if wants_gradient:
        gradient += pulls[:, None] * rows
    return total, active, count, gradient


def _few(classes: _Classes, *, must: bool) -> int | None:
    """Return the rows of the largest class, if an anchor's positives are to be taken in turn.

    They are if they are few, which only a CPU says without being waited for, or if they must.
    """
    if not must and classes.size.device.type != "cpu":
        return None
    most = int(classes.size.max())
    return most if must or most <= FEW + 1 else None


def _blank(rows: Tensor, wants_gradient: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return zeros of the shapes of the sums."""
    number = rows.new_zeros((), dtype=torch.int64)
    gradient = torch.zeros_like(rows) if wants_gradient else rows.new_zeros(0)
    return rows.new_zeros(()), number, number.clone(), gradient


def _scale(gradient: Tensor, of_one: Tensor, rows: Tensor) -> Tensor:
    return gradient * of_one


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(output[3], inputs[0])


def _differentiate(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    to_rows = torch.ops.lookalike.triplet_sums_backward(gradient, *ctx.saved_tensors)
    return to_rows, None, None, None, None, None, None


def _refuse(ctx: Any, *gradients: Tensor) -> None:
    raise RuntimeError("the gradient of triplet_sums cannot be differentiated again")


# What a graph must know without computing: the shapes.
def _like_sums(rows: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    return _blank(rows, rest[-1])


def _like_backward(gradient: Tensor, of_one: Tensor, rows: Tensor) -> Tensor:
    return torch.empty_like(rows)


# The sums are an operator of torch's, so that torch.compile takes it as a whole.
torch.library.define(
    "lookalike::triplet_sums",
    "(Tensor rows, Tensor labels, Tensor? draws, str mining, float? margin, bool squared, "
    "bool wants_gradient) -> (Tensor, Tensor, Tensor, Tensor)",
)
torch.library.define(
    "lookalike::triplet_sums_backward",
    "(Tensor gradient, Tensor of_one, Tensor rows) -> Tensor",
)
torch.library.impl("lookalike::triplet_sums", "default", _sums)
torch.library.impl("lookalike::triplet_sums_backward", "default", _scale)
torch.library.register_fake("lookalike::triplet_sums", _like_sums)
torch.library.register_fake("lookalike::triplet_sums_backward", _like_backward)
torch.library.register_autograd("lookalike::triplet_sums", _differentiate, setup_context=_save)
torch.library.register_autograd("lookalike::triplet_sums_backward", _refuse)
