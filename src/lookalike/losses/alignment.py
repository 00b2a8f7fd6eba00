"""Alignment: partners close together. Wang & Isola 2020, arXiv:2005.10242, section 4.1.1."""

from torch import Tensor

from lookalike import _check
from lookalike.pairwise.similarity import unit_rows


def alignment_loss(z1: Tensor, z2: Tensor, *, power: float = 2.0) -> Tensor:
    """Mean distance of an image's two views on the unit sphere, to a power.

    Args:
        z1: (B, D), B >= 1, of the first views; any scale.
        z2: (B, D) of the second views, row i showing the image of row i of `z1`.
        power: > 0 (paper: 2).

    Returns:
        () in [0, 2 ** power]: at power 2, 0 for identical views, 2 for orthogonal, 4 for opposite.

    Raises:
        ValueError: shapes differ, are not 2-D or hold no row; power <= 0.
    """
    _check.same_matrix(z1=z1, z2=z2)
    _check.at_least(1, rows=len(z1))
    _check.positive(power=power)
    squares = (unit_rows(z1) - unit_rows(z2)).square().sum(1)  # (B,)
    loss: Tensor = (squares if power == 2 else squares.pow(power / 2)).mean()
    return loss
