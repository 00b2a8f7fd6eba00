"""Lifted structure: a positive pair against all negatives of both its members.

Song et al. 2016, arXiv:1511.06452, equation 4; generalised by Hermans et al. 2017,
arXiv:1703.07737, equation 8.
"""

from typing import Literal

import torch
from torch import Tensor

from lookalike import _check
from lookalike.pairwise.distances import PairTile, by_tiles, centred, root

Form = Literal["pairs", "generalised"]


def lifted_structure_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = 1.0,
    form: Form = "pairs",
    normalise: bool = False,
) -> Tensor:
    """Push all negatives at once, the near ones most, by the log of a sum of exponentials.

    With d Euclidean and R(i) = log(sum over negatives n of i of exp(margin - d(i, n))), "pairs" is
    max(0, d(i, j) + log(exp R(i) + exp R(j)))^2 / 2 of a positive pair, each pair once, and
    "generalised" is max(0, log(sum over positives p of exp d(a, p)) + R(a)) of an anchor. Memory is
    O(N D).

    Args:
        embeddings: (N, D), N >= 1.
        labels: (N,) integers.
        margin: in units of d (Song: 1).
        form: Song's "pairs", or Hermans' "generalised".
        normalise: bring the rows to norm 1 first; neither paper does.

    Returns:
        () mean over the positive pairs, or over the anchors that have a positive, >= 0, in float32
        (float64 for float64). 0, with a gradient of 0, where all are of one label or none is twice.

    Raises:
        ValueError: shapes do not match; margin is no number at least 0; no such form.
    """
    _check.at_least(0, margin=margin)
    _check.one_of(("pairs", "generalised"), form=form)
    rows = centred(embeddings, labels, normalise=normalise)
    forces = by_tiles(_forces, rows, labels, margin)  # (N, 2)
    if form == "pairs":
        total, pairs = by_tiles(_pairs, rows, labels, forces[:, 1], once=True).sum(0).unbind()
        return total / pairs.detach().clamp_min(1)
    anchors = (forces > _lowest(rows.dtype)).all(1).sum()
    return forces.sum(1).relu().sum() / anchors.clamp_min(1)


def _forces(tile: PairTile, margin: float) -> Tensor:
    """Return each row's log-sum-exp of distances to its positives, and R, (I, 2)."""
    distances = root(tile.squares)
    nothing = 2 * _lowest(distances.dtype)
    attract = distances.masked_fill(~tile.positive, nothing)
    repel = (margin - distances).masked_fill(~tile.negative, nothing)
    return torch.stack([attract.logsumexp(1), repel.logsumexp(1)], dim=1)


def _lowest(precision: torch.dtype) -> float:
    """Return what is below every log of a sum; twice that stands for log(0), gradient NaN."""
    return torch.finfo(precision).min / 8


def _pairs(tile: PairTile, repel: Tensor) -> Tensor:
    """Return each row's terms and number of positive pairs with later rows, (I, 2)."""
    both = torch.logaddexp(repel[tile.i, None], repel[tile.i.start :])  # (I, J)
    terms = (root(tile.squares) + both).relu().square() / 2
    each = terms.where(tile.positive, 0), tile.positive.to(terms.dtype)
    return torch.stack([part.sum(1) for part in each], dim=1)
