"""Barlow Twins: no redundancy. Zbontar et al. 2021, arXiv:2103.03230, equations 1 and 2."""

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses._covariance import squared_products


def barlow_twins_loss(z1: Tensor, z2: Tensor, *, redundancy: float = 0.0051) -> Tensor:
    """Each dimension says the same of both views, and no two dimensions say the same.

    With C the (D, D) correlations over the batch of the first views' dimensions with the second
    views', the loss is the sum of (1 - C_ii)^2 plus `redundancy` times the sum of all other C_ij^2.
    Memory is O(B D): where D is above B, the second sum comes from the (B, B) products of the
    images. float32 arithmetic at least.

    Args:
        z1: (B, D), B >= 1, projections of the first views; any scale and place.
        z2: (B, D) of the second views, row i showing the image of row i of `z1`.
        redundancy: weight of the pairs of dimensions, >= 0 (paper: 0.005; its code: 0.0051).

    Returns:
        () >= 0 up to rounding: 0 for equal views of uncorrelated dimensions, 4 D for opposite ones,
        D for views of which no dimension varies.

    Raises:
        ValueError: shapes differ, are not 2-D or hold no row; redundancy < 0.

    Deviations: variances have 1e-5 added, as batch normalisation does, so that a dimension that
    never varies has correlation 0.
    """
    _check.same_matrix(z1=z1, z2=z2)
    _check.at_least(1, rows=len(z1))
    _check.at_least(0, redundancy=redundancy)
    first, second = _standardised(z1), _standardised(z2)
    own = (first * second).mean(0)  # (D,) the diagonal of C
    others = squared_products(first, second) / len(z1) ** 2 - own.square().sum()
    return (1 - own).square().sum() + redundancy * others


def _standardised(z: Tensor) -> Tensor:
    """Return columns of mean 0 and, by the biased estimate, variance 1."""
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    centred = z - z.mean(0)
    return centred * (centred.square().mean(0) + 1e-5).rsqrt()
