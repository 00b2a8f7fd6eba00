"""VICReg: variance, invariance, covariance. Bardes et al. 2021, arXiv:2105.04906, eqs. 1 to 6."""

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses._covariance import squared_products


def vicreg_loss(
    z1: Tensor,
    z2: Tensor,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
) -> Tensor:
    """Views alike, every dimension spread out, and no two dimensions saying the same.

    The three terms are the mean squared difference of the views; the mean over dimensions of
    max(0, 1 - s), s a dimension's standard deviation over the batch; and the sum of the squared
    covariances of two dimensions, over D. Memory is O(B D): where D is above B, the last one comes
    from the (B, B) products of the images. float32 arithmetic at least.

    Args:
        z1: (B, D), B >= 2, embeddings of the first views; any scale, which is part of the loss.
        z2: (B, D) of the second views, row i showing the image of row i of `z1`.
        invariance: weight of the first term, >= 0.
        variance: weight of the second, >= 0; it is averaged over the two views.
        covariance: weight of the third, >= 0; it is summed over the two views.

    Returns:
        () >= 0 up to rounding. Where all rows of both are one point, 0.99 `variance`: variances
        have 1e-4 added; 0 for equal views of uncorrelated dimensions with deviations above 1.

    Raises:
        ValueError: shapes differ, are not 2-D or hold fewer than 2 rows; a weight is below 0.

    Deviations: the mean over the views in the second term is that of the authors' code; the paper
    sums. The first term is a mean over dimensions, too.
    """
    _check.same_matrix(z1=z1, z2=z2)
    _check.at_least(2, rows=len(z1))
    _check.at_least(0, invariance=invariance, variance=variance, covariance=covariance)
    precision = torch.promote_types(torch.promote_types(z1.dtype, z2.dtype), torch.float32)
    z1, z2 = z1.to(precision), z2.to(precision)
    loss = invariance * (z1 - z2).square().mean()
    for z in (z1, z2):
        spread, shared = _terms(z)
        loss = loss + variance / 2 * spread + covariance * shared
    return loss


def _terms(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variance term and the covariance term of one view."""
    centred = z - z.mean(0)
    variances = centred.square().sum(0) / (len(z) - 1)  # (D,)
    spread = (1 - (variances + 1e-4).sqrt()).relu().mean()
    every = squared_products(centred, centred) / (len(z) - 1) ** 2
    return spread, (every - variances.square().sum()) / z.shape[1]
