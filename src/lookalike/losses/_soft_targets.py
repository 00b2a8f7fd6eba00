"""A softmax over many columns and what it makes of them, without gradient; tiles as elsewhere."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lookalike.pairwise.similarity import _Tiles

BEFORE = -1e30  # below every logit, and finite: 0 times it is 0


class SoftTargets(NamedTuple):
    """What a cross entropy with a softmax needs of the softmax, P, over M columns.

    logsumexp: (N,) of the logits.
    means: (N, V), sum over the columns of P times the column's value.
    negative_entropy: (N,), sum of P log P, in [-log M, 0].
    """

    logsumexp: Tensor
    means: Tensor
    negative_entropy: Tensor


@torch.no_grad()
def soft_targets(rows: Tensor, columns: Tensor, values: Tensor, *, scale: float) -> SoftTargets:
    """Return what the softmax over scale * rows[i] . columns[j] makes of the columns' values.

    One pass over the products, as in attention (Dao et al. 2022, arXiv:2205.14135): memory is
    O(N (D + V)) and one tile.

    Args:
        rows: (N, D), float32 or float64.
        columns: (M, D), M >= 1, of the same precision.
        values: (M, V), of the same precision.
        scale: > 0.
    """
    return SoftTargets(*torch.ops.lookalike.soft_targets(rows, columns, values, scale))


torch.library.define(
    "lookalike::soft_targets",
    "(Tensor rows, Tensor columns, Tensor values, float scale) -> (Tensor, Tensor, Tensor)",
)


@torch.library.impl("lookalike::soft_targets", "default")
def _soft_targets(
    rows: Tensor, columns: Tensor, values: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum exp(logit - largest so far) and what is weighted with it; a larger one shrinks the sums.

    Of a row's sums, `mass` is that of the weights w, `means` of w times values, and `levels` of w
    times (logit - largest).
    """
    tiles = _Tiles(rows, columns, scale=scale)
    logsumexp, negative_entropy = rows.new_empty(len(rows)), rows.new_empty(len(rows))
    means = rows.new_zeros(len(rows), values.shape[1])
    for i in tiles.row_slices:
        largest = rows.new_full((len(rows[i]),), BEFORE)
        mass, levels = torch.zeros_like(largest), torch.zeros_like(largest)
        for j in tiles.column_slices:
            tile = tiles.at(i, j)
            larger = torch.maximum(largest, tile.amax(1))
            behind = largest - larger
            kept = behind.exp()
            tile.sub_(larger[:, None])
            weights = tile.exp()
            levels = kept * (levels + mass * behind) + tile.mul_(weights).sum(1)
            mass = kept * mass + weights.sum(1)
            means[i].mul_(kept[:, None]).addmm_(weights, values[j])
            largest = larger
        means[i] /= mass[:, None]
        logsumexp[i] = largest + mass.log()
        negative_entropy[i] = levels / mass - mass.log()
    return logsumexp, means, negative_entropy


# What a graph must know without computing: the shapes.
def _like(rows: Tensor, columns: Tensor, values: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    each = rows.new_empty(rows.shape[0])
    return each, rows.new_empty(rows.shape[0], values.shape[1]), torch.empty_like(each)


torch.library.register_fake("lookalike::soft_targets", _like)
