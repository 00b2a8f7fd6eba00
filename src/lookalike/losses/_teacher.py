"""What every loss of distillation does first with what a student and its teacher say."""

import torch
from torch import Tensor

from lookalike import _check


def prepare(
    student: Tensor, teacher: Tensor, *, stop_gradient: bool = True
) -> tuple[Tensor, Tensor]:
    """Return both in one precision, float32 at least, and the teacher's without a gradient.

    Args:
        student: a row an image.
        teacher: likewise.
        stop_gradient: False where the teacher's side learns, too.

    Raises:
        ValueError: there is no row, of which a mean could be taken.
    """
    _check.at_least(1, rows=len(student))
    precision = torch.promote_types(student.dtype, teacher.dtype)
    precision = torch.promote_types(precision, torch.float32)
    teacher = teacher.detach() if stop_gradient else teacher
    return student.to(precision), teacher.to(precision)
