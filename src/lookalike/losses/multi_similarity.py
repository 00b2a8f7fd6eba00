"""Multi-similarity. Wang et al. 2019, arXiv:1904.06627, equations 10, 11 and 15."""

import math

import torch
from torch import Tensor

from lookalike import _check
from lookalike.pairwise.distances import PairTile, by_tiles, centred


def multi_similarity_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    alpha: float = 2.0,
    beta: float = 50.0,
    threshold: float = 0.5,
    epsilon: float = 0.1,
) -> Tensor:
    """Weigh a pair by how it lies itself, and beside the anchor's other pairs.

    Of an anchor's pairs those count that tell something: negatives with a cosine above that of the
    farthest positive less epsilon, positives with one below that of the nearest negative plus
    epsilon. With s their cosines less the threshold, an anchor costs log(1 + sum over positives of
    exp(-alpha s)) / alpha + log(1 + sum over negatives of exp(beta s)) / beta. Memory is O(N D).

    Args:
        embeddings: (N, D), N >= 1; any scale.
        labels: (N,) integers, any; equal ones are of one class.
        alpha: > 0, how much more the far positives weigh.
        beta: > 0, how much more the near negatives weigh.
        threshold: lambda, the cosine that positives should be above and negatives below.
        epsilon: how much easier a pair may be than the hardest one of the other kind; infinity
            mines none, and every pair counts.

    Returns:
        () mean over the N rows, >= 0, in float32 (float64 for float64). A row without a positive or
        without a negative, or whose pairs are all easy, adds 0.

    Raises:
        ValueError: shapes do not match; alpha or beta <= 0; epsilon < 0.
    """
    _check.positive(alpha=alpha, beta=beta)
    _check.at_least(0, epsilon=epsilon)
    rows = centred(embeddings, labels, normalise=True)
    terms: Tensor = by_tiles(_terms, rows, labels, alpha, beta, threshold, epsilon)  # (N,)
    return terms.mean()


def _terms(tile: PairTile, alpha: float, beta: float, threshold: float, epsilon: float) -> Tensor:
    """Return what each row of the tile costs, (I,)."""
    cosines = 1 - tile.squares / 2
    known = cosines.detach()
    farthest = known.where(tile.positive, math.inf).amin(1, keepdim=True)
    nearest = known.where(tile.negative, -math.inf).amax(1, keepdim=True)
    attract = tile.positive & (known < nearest + epsilon)
    repel = tile.negative & (known > farthest - epsilon)
    above = cosines - threshold
    return _log1p_sum(-alpha * above, attract) / alpha + _log1p_sum(beta * above, repel) / beta


def _log1p_sum(exponents: Tensor, counted: Tensor) -> Tensor:
    """Return log(1 + the sum of exp over what is counted in each row)."""
    chosen = exponents.masked_fill(~counted, -math.inf)
    return torch.cat([torch.zeros_like(chosen[:, :1]), chosen], dim=1).logsumexp(1)
