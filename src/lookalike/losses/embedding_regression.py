"""Regression of a teacher's embedding. Gao et al. 2021 (DisCo), arXiv:2104.09124, section 3.

With rows of norm 1 it is DisCo's; without, twice FitNets' hint loss (Romero et al. 2014,
arXiv:1412.6550, section 2.2), of embeddings.
"""

from torch import Tensor

from lookalike import _check
from lookalike.losses._teacher import prepare
from lookalike.pairwise.similarity import unit_rows


def embedding_regression_loss(
    student: Tensor, teacher: Tensor, *, normalise: bool = True
) -> Tensor:
    """Squared distance of the student's embedding from the teacher's.

    Args:
        student: (B, D), B >= 1, from a head that brings it to the teacher's width.
        teacher: (B, D), row i of the image of row i of `student`; gets no gradient.
        normalise: compare directions: 2 - 2 cosine. Otherwise norms count too.

    Returns:
        () mean over the B rows of the sum over D; in [0, 4] for directions: 0 for equal ones, 2 for
        orthogonal. A mean over D as well, which torch's `mse_loss` is, is 1 / D of this; DisCo's
        sum over the batch is B times this. A row of norm 0 has direction 0, at distance 1 from
        every other. float32, or float64 for float64 inputs.

    Raises:
        ValueError: shapes differ, are not 2-D or hold no row.
    """
    _check.same_matrix(student=student, teacher=teacher)
    student, teacher = prepare(student, teacher)
    if normalise:
        student, teacher = unit_rows(student), unit_rows(teacher)
    loss: Tensor = (student - teacher).square().sum(1).mean()
    return loss
