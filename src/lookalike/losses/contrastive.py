"""Contrastive loss of DrLIM: alike pairs attract, others repel up to a margin.

Hadsell, Chopra and LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping",
equation 4: springs of rest length 0 and of rest length `margin`, which let go beyond it.
"""

import torch
from torch import Tensor

from lookalike import _check
from lookalike.pairwise.distances import PairTile, by_tiles, centred, root


def contrastive_loss(a: Tensor, b: Tensor, similar: Tensor, *, margin: float = 1.0) -> Tensor:
    """d^2 / 2 for a similar pair, max(0, margin - d)^2 / 2 for another; d the Euclidean distance.

    Args:
        a: (B, D), B >= 1, the pairs' first members.
        b: (B, D) their second members.
        similar: (B,) whether a pair is alike.
        margin: > 0, in units of d.

    Returns:
        () mean over the pairs, >= 0, in float32 (float64 for float64). A dissimilar pair at
        distance 0 costs margin^2 / 2, but has no direction to part in: it gets no gradient.

    Raises:
        ValueError: shapes do not match or hold no row; margin <= 0.

    Deviations: a mean, where the paper sums; `similar` is true where the paper's Y is 0.
    """
    _check.same_matrix(a=a, b=b)
    _check.at_least(1, pairs=len(a))
    _check.labels_of(len(a), similar=similar)
    _check.positive(margin=margin)
    precision = torch.promote_types(a.dtype, torch.float32)
    attract, repel = _springs((a.to(precision) - b.to(precision)).square().sum(1), margin)
    return attract.where(similar.bool(), repel).mean()


def batch_contrastive_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = 1.0,
    balanced: bool = False,
    normalise: bool = False,
) -> Tensor:
    """`contrastive_loss` of all pairs of a batch, each once; those of one label are similar.

    Memory is O(N D).

    Args:
        embeddings: (N, D), N >= 1.
        labels: (N,) integers.
        margin: > 0, in units of the distance.
        balanced: half the mean over similar pairs plus half that over the others, so that the many
            do not drown the few; otherwise the mean over all pairs.
        normalise: bring the rows to norm 1 first.

    Returns:
        () >= 0; a mean without a pair counts as 0, with a gradient of 0.

    Raises:
        ValueError: shapes do not match; margin <= 0.
    """
    _check.positive(margin=margin)
    rows = centred(embeddings, labels, normalise=normalise)
    sums = by_tiles(_energies, rows, labels, margin, once=True).sum(0)
    attract, repel, number = sums.unbind()
    pairs = len(rows) * (len(rows) - 1) // 2
    if not balanced:
        return (attract + repel) / max(pairs, 1)
    number = number.detach()
    return (attract / number.clamp_min(1) + repel / (pairs - number).clamp_min(1)) / 2


def _springs(squares: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Return the energies of pairs if they are similar, and if they are not."""
    return squares / 2, (margin - root(squares)).relu().square() / 2


def _energies(tile: PairTile, margin: float) -> Tensor:
    """Return each row's energies, similar and not, and similar pairs, with later rows, (I, 3)."""
    attract, repel = _springs(tile.squares, margin)
    number = tile.positive.to(attract.dtype)
    each = attract.where(tile.positive, 0), repel.where(tile.negative, 0), number
    return torch.stack([part.sum(1) for part in each], dim=1)
