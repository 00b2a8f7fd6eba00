"""Pseudo-labels: the teacher's first choice, taken for the truth. Lee 2013, equation 15."""

import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._teacher import prepare


def pseudo_label_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """How badly a student predicts what its teacher holds most likely; how sure it is is lost.

    Args:
        student_logits: (N, C), N >= 1; gets the gradient.
        teacher_logits: (N, C) of the same images; gets none.

    Returns:
        () mean over the batch of the cross entropy with the teacher's largest logit, in [0, inf),
        in nats.

    Raises:
        ValueError: shapes differ, or there is no row.
    """
    _check.same_shape(student_logits=student_logits, teacher_logits=teacher_logits)
    student, teacher = prepare(student_logits, teacher_logits)
    return F.cross_entropy(student, teacher.argmax(1))
