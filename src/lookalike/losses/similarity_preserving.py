"""Similarity-preserving distillation (SP). Tung & Mori 2019, arXiv:1907.09682, section 3."""

from torch import Tensor

from lookalike.losses._relations import pair_of, sum_over_rows
from lookalike.pairwise.similarity import unit_rows


def similarity_preserving_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of how each image is alike to all of the batch, student's from teacher's.

    A row of the batch's similarities, products of features with themselves included, is taken to
    norm 1 and compared with the teacher's. Neither rotating nor scaling of all features of a side
    changes it. Memory is O(B D) and a few rows of similarities; arithmetic is float32 or float64.

    Args:
        student: (B, ...), B >= 1; feature maps (B, C, H, W) in the paper, of any size: all but the
            first dimension is one feature.
        teacher: (B, ...), row i of the image of row i of `student`; gets no gradient.

    Returns:
        () mean over the B rows, in [0, 4]; in [0, 2] where no feature is below 0. The paper divides
        by B^2: it is 1 / B of this, so that its weight of 3000 in batches of 64 is 46.9 here. 0
        where B is 1. A row of norm 0 is alike to none.

    Raises:
        ValueError: the numbers of rows differ or are 0; a tensor has one dimension.
    """
    student, teacher = pair_of(student, teacher)
    return sum_over_rows(_apart, student, teacher) / len(student)


def _apart(student: Tensor, teacher: Tensor) -> Tensor:
    return (unit_rows(student) - unit_rows(teacher)).square().sum()
