"""SphereFace: an angle multiplied. Liu et al. 2017, arXiv:1704.08063, equation 7."""

import math

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses._margin_softmax import (
    check_classes,
    margin_cross_entropy,
    own_cosines,
    root_of_rest,
)
from lookalike.pairwise.similarity import unit_rows


def sphereface_loss(
    embeddings: Tensor,
    labels: Tensor,
    centres: Tensor,
    *,
    scale: float = 1.0,
    margin: int = 4,
    share: float = 1.0,
) -> Tensor:
    """Cross entropy over projections on class centres, the angle to an image's own multiplied.

    With theta that angle and x the embedding, the own logit is |x| psi(theta), psi(theta) =
    (-1)^k cos(margin theta) - 2 k where margin theta is in [k pi, (k + 1) pi]: it falls from 1 to
    1 - 2 margin. Memory is O((N + C) D); the arithmetic is that of `similarity`.

    Args:
        embeddings: (N, D); their norm is part of the loss.
        labels: (N,) integers below C; below 0 where unknown, which adds no term.
        centres: (C, D), C >= 2, one for each class; any scale; they get a gradient.
        scale: > 0, on all logits (paper: 1).
        margin: whole, >= 1 (paper: 4); 1 is no margin.
        share: of psi in the own logit, in [0, 1]; the rest is the cosine. The paper begins near 0
            and ends at 1 / 6, for with 1 it does not start.

    Returns:
        () mean over the rows with a label, in nats, >= 0.

    Raises:
        ValueError: shapes do not match; fewer than two centres; a number is out of its range.
    """
    check_classes(embeddings, labels, centres, scale=scale)
    _check.fraction(share=share)
    if margin != int(margin) or margin < 1:
        raise ValueError(f"margin must be a whole number of at least 1, got {margin}")
    x = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
    w = unit_rows(centres.to(x.dtype))
    norms = torch.linalg.vector_norm(x, dim=1)
    cosines = own_cosines(unit_rows(x), labels, w)
    own = share * _psi(cosines, int(margin)) + (1 - share) * cosines
    return margin_cross_entropy(x, labels, w, scale * norms * own, scale=scale)


def _psi(cosines: Tensor, margin: int) -> Tensor:
    """Return psi of an angle from its cosine, by Chebyshev's polynomial: it has no arc cosine."""
    before, multiple = torch.ones_like(cosines), cosines
    for _ in range(margin - 1):
        before, multiple = multiple, 2 * cosines * multiple - before
    angle = torch.atan2(root_of_rest(cosines.detach()), cosines.detach())
    k = (angle * margin / math.pi).floor().clamp(max=margin - 1)
    return (1 - 2 * k.remainder(2)) * multiple - 2 * k
