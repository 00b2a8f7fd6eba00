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


def standardised(logits: Tensor) -> Tensor:
    """Return each row less its mean, over its deviation: which classes lead, not by how much.

    Logit standardisation, Sun et al. 2024, arXiv:2403.01427, equation 9: a student need not learn
    how wide its teacher's logits lie.

    Args:
        logits: (N, C), C >= 2.

    Returns:
        (N, C), of mean 0 and, by the unbiased estimate, variance 1 over the classes; 0 where all
        logits of a row are equal.
    """
    centred = logits - logits.mean(1, keepdim=True)
    norms: Tensor = torch.linalg.vector_norm(centred, dim=1, keepdim=True)  # no NaN in its gradient
    result: Tensor = centred / (norms / (logits.shape[1] - 1) ** 0.5 + 1e-7)
    return result
