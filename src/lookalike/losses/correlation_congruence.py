"""Correlation congruence. Peng et al. 2019, arXiv:1904.01802, section 3.

The form with a Gaussian kernel. Some libraries give this name to another loss, on the products of
each row's error with the next row's.
"""

import math

from torch import Tensor

from lookalike import _check
from lookalike.losses._relations import pair_of, sum_over_rows
from lookalike.pairwise.similarity import unit_rows


def correlation_congruence_loss(
    student: Tensor, teacher: Tensor, *, gamma: float = 0.4, order: int = 2
) -> Tensor:
    """Squared difference of the batch's correlations, student's less teacher's.

    The correlation of two rows is the Gaussian exp(-gamma |a - b|^2) of their directions, as its
    Taylor polynomial in the cosine: exp(-2 gamma) sum over p of (2 gamma cosine)^p / p!. Neither
    rotating a side nor scaling any row of it changes it. Memory is O(B D) and a few rows of
    cosines; arithmetic is float32 or float64.

    Args:
        student: (B, D_S), B >= 1; what has more dimensions is flattened.
        teacher: (B, D_T), row i of the image of row i of `student`; gets no gradient.
        gamma: > 0, the Gaussian's sharpness (paper: 0.4).
        order: >= 1, the polynomial's highest power (paper: 2).

    Returns:
        () mean over the pairs of distinct rows, in [0, 1]. The paper divides by B^2: it is
        (B - 1) / B of this. 0 where B is 1. A row of norm 0 has cosine 0 with every row; so has it
        with itself, which then counts for one pair more.

    Raises:
        ValueError: the numbers of rows differ or are 0; a tensor has one dimension; gamma <= 0;
            order < 1.
    """
    _check.positive(gamma=gamma)
    _check.at_least(1, order=order)
    student, teacher = (unit_rows(side) for side in pair_of(student, teacher))
    pairs = len(student) * (len(student) - 1)  # a row with itself is alike on both sides
    return sum_over_rows(_apart, student, teacher, gamma, order) / max(1, pairs)


def _apart(student: Tensor, teacher: Tensor, gamma: float, order: int) -> Tensor:
    return (_kernel(student, gamma, order) - _kernel(teacher, gamma, order)).square().sum()


def _kernel(cosines: Tensor, gamma: float, order: int) -> Tensor:
    result = cosines.new_ones(())
    for power in range(order, 0, -1):  # Horner's rule
        result = 1 + result * cosines * (2 * gamma / power)
    return result * math.exp(-2 * gamma)
