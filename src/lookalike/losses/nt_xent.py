"""NT-Xent: find each view's partner in the batch. Chen et al. 2020, arXiv:2002.05709, eq. 1."""

import math

import torch
from torch import Tensor

from lookalike import _check
from lookalike.pairwise.similarity import row_logsumexp, unit_rows


def nt_xent_loss(
    z1: Tensor, z2: Tensor, *, temperature: float = 0.1, normalise: bool = True
) -> Tensor:
    """Cross entropy of finding each view's partner among the batch's 2B - 1 other views.

    Memory is O(B D); the arithmetic is that of `similarity`, float32 or float64.

    Args:
        z1: (B, D) projections of the first views.
        z2: (B, D) of the second views, row i showing the image of row i of `z1`.
        temperature: > 0; lower weighs the nearest negatives more.
        normalise: compare cosines, as the paper does; otherwise raw dot products (its table 5).

    Returns:
        () mean over the 2B views, in nats, >= 0; for cosines at most
        log(1 + (2B - 2) * exp(2 / temperature)). 0 where B is 1: nothing else can be mistaken for
        the partner. A row of norm 0 has cosine 0 with every row, and gets no gradient.

    Raises:
        ValueError: shapes differ or are not 2-D; temperature <= 0.

    >>> alike = torch.ones(4, 8)  # a blind guess among 7
    >>> bool(nt_xent_loss(alike, alike).isclose(torch.tensor(7.0).log()))
    True
    """
    _check.same_matrix(z1=z1, z2=z2)
    _check.positive(temperature=temperature)
    z = torch.cat([z1, z2])  # (2B, D)
    z = unit_rows(z) if normalise else z
    others = row_logsumexp(
        z, scale=1 / temperature, exclude_self=True, bound=1.0 if normalise else math.inf
    )  # (2B,)
    first, second = z.view(2, *z1.shape)
    partner = (first * second).sum(1) / temperature  # (B,)
    gaps = (others.view(2, -1) - partner).clamp_min(0)  # below 0 by rounding alone
    if len(z1) == 1:
        gaps = 0 * gaps  # nothing can be mistaken; NaN still shows
    loss: Tensor = gaps.mean()
    return loss
