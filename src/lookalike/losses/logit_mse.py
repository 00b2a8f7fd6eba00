"""Regression of the teacher's logits. Ba & Caruana 2014, arXiv:1312.6184, equation 1."""

from torch import Tensor

from lookalike import _check
from lookalike.losses._teacher import prepare


def logit_mse_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Half the squared distance of the student's logits from the teacher's.

    Of logits whose mean over the C classes is 0, it is C times what `kd_loss` is for large T.

    Args:
        student_logits: (N, C), N >= 1; gets the gradient, (student - teacher) / N.
        teacher_logits: (N, C) of the same images; gets none.

    Returns:
        () mean over the N images of a sum over the C classes, >= 0.

    Raises:
        ValueError: shapes differ, are not 2-D or hold no row.
    """
    _check.same_matrix(student_logits=student_logits, teacher_logits=teacher_logits)
    student, teacher = prepare(student_logits, teacher_logits)
    return (student - teacher).square().sum(1).mean() / 2
