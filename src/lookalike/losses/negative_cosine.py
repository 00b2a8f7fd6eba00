"""Minus the cosine of a prediction and its target. Chen & He 2020, arXiv:2011.10566, equation 1.

BYOL's loss is 2 + 2 times it: Grill et al. 2020, arXiv:2006.07733, equation 2.
"""

from torch import Tensor

from lookalike import _check
from lookalike.pairwise.similarity import unit_rows


def negative_cosine_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Minus the mean cosine of matching rows.

    The gradient reaches both arguments: stopping it at the target is the method's line, for it is
    the method's idea.

    Args:
        prediction: (B, D), any scale.
        target: (B, D), any scale, row i belonging to row i of `prediction`.

    Returns:
        () in [-1, 1]: -1 where all rows point the same way, 0 where they are orthogonal. A row of
        norm 0 has cosine 0. float32, or float64 for float64 inputs.

    Raises:
        ValueError: shapes differ or are not 2-D.
    """
    _check.same_matrix(prediction=prediction, target=target)
    loss: Tensor = -(unit_rows(prediction) * unit_rows(target)).sum(1).mean()
    return loss
