"""What rows are to each other, student's beside teacher's; some rows at a time with all others."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lookalike import _check
from lookalike.losses._teacher import prepare

AREA = 2**20
"""Products made at a time, 4 MiB: of more, backward makes them again."""


def pair_of(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Return both sides as matrices, in one precision and the teacher's detached, by `prepare`.

    Args:
        student: (B, ...), B >= 1.
        teacher: (B, ...), of another width or not.

    Raises:
        ValueError: a tensor has no width, or the numbers of rows differ or are 0.
    """
    _check.same_rows(student=student, teacher=teacher)
    _check.at_least(2, dimensions_of_student=student.ndim, dimensions_of_teacher=teacher.ndim)
    student, teacher = prepare(student, teacher)
    return student.flatten(1), teacher.flatten(1)


def sum_over_rows(
    of_products: Callable[..., Tensor], student: Tensor, teacher: Tensor, *others: object
) -> Tensor:
    """Return the sum over rows of what a function makes of their products with all rows.

    Args:
        of_products: takes the student's products and the teacher's, (R, B) each, and the others;
            returns () their rows' sum.
        student: (B, D_S), from `pair_of`.
        teacher: (B, D_T).
        others: what else the function takes.
    """
    height = max(1, AREA // len(student))
    total = student.new_zeros(())
    for start in range(0, len(student), height):
        i = slice(start, start + height)
        if height < len(student) and student.requires_grad:
            part = checkpoint(
                _of_rows, i, of_products, student, teacher, *others, use_reentrant=False
            )
        else:
            part = _of_rows(i, of_products, student, teacher, *others)
        total = total + part
    return total


def _of_rows(
    i: slice,
    of_products: Callable[..., Tensor],
    student: Tensor,
    teacher: Tensor,
    *others: object,
) -> Tensor:
    with torch.autocast(student.device.type, enabled=False):  # bfloat16 has too few digits
        return of_products(student[i] @ student.T, teacher[i] @ teacher.T, *others)
