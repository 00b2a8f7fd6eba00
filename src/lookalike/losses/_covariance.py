"""Sums of squares of (D, D) covariances, without the covariances where D is more than the rows."""

import torch
from torch import Tensor


def squared_products(first: Tensor, second: Tensor) -> Tensor:
    """Return the sum over all i, j of (first.T @ second)[i, j]^2.

    It is also the sum of (first @ first.T) * (second @ second.T), so what is made is (N, N) or
    (D, D), whichever is smaller: never more than the arguments hold. float32 under autocast too.

    Args:
        first: (N, D), float32 or float64.
        second: (N, D), of the same precision.

    Returns:
        () >= 0 up to rounding.
    """
    with torch.autocast(first.device.type, enabled=False):  # squares of bfloat16 tell little
        if len(first) < first.shape[1]:
            return (first @ first.T).mul(second @ second.T).sum()
        return (first.T @ second).square().sum()
