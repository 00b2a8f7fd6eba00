"""DIST, distillation from a stronger teacher. Huang et al. 2022, arXiv:2205.10536."""

import math

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses._teacher import prepare


def dist_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    beta: float = 1.0,
    gamma: float = 1.0,
    temperature: float = 1.0,
) -> Tensor:
    """How badly the student's probabilities correlate with the teacher's, by image and by class.

    A student need not match a teacher that is surer than it can be: 1 - Pearson's correlation is 0
    for all probabilities that are a p + b of the teacher's, a > 0.

    Args:
        student_logits: (N, C), N >= 2, C >= 2; gets the gradient.
        teacher_logits: (N, C) of the same images; gets none.
        beta: weight >= 0 of the relation between the classes of an image: a mean over rows.
        gamma: weight >= 0 of the relation between the images of a class: a mean over columns.
        temperature: T > 0 of the softmax (authors: 1 for ImageNet, 4 for CIFAR-100).

    Returns:
        () T^2 (beta inter + gamma intra), inter and intra in [0, 2] each. Where a row or a column
        of the student or of the teacher is constant, up to rounding, its correlation is 0: it adds
        1 to its mean, and gets no gradient.

    Raises:
        ValueError: shapes differ or are not 2-D; one row alone, or one class, has nothing to
            correlate; beta or gamma < 0; temperature <= 0.

    Deviations: T^2 is the authors' code's, not the paper's; so is the weight of 2 on the whole that
    goes with their results, which is the method's affair.
    """
    _check.same_matrix(student_logits=student_logits, teacher_logits=teacher_logits)
    _check.at_least(2, rows=len(student_logits), classes=student_logits.shape[1])
    _check.at_least(0, beta=beta, gamma=gamma)
    _check.positive(temperature=temperature)
    student, teacher = (
        (each / temperature).softmax(1) for each in prepare(student_logits, teacher_logits)
    )
    inter = 1 - _correlations(student, teacher).mean()
    intra = 1 - _correlations(student.T, teacher.T).mean()
    loss: Tensor = temperature**2 * (beta * inter + gamma * intra)
    return loss


def _correlations(first: Tensor, second: Tensor) -> Tensor:
    """Return Pearson's correlation of matching rows, 0 where one of them is constant."""
    return (_standard(first) * _standard(second)).sum(1)


def _standard(rows: Tensor) -> Tensor:
    """Return the rows at mean 0 and norm 1; 0, without gradient, for what is constant.

    What differs by rounding alone is constant too: brought to norm 1, it would be noise with a
    gradient of any size.
    """
    centred = rows - rows.mean(1, keepdim=True)
    lengths = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    scale = torch.linalg.vector_norm(rows.detach(), dim=1, keepdim=True)
    noise = 4 * torch.finfo(rows.dtype).eps * scale
    standard: Tensor = centred / lengths.where(lengths > noise, math.inf)
    return standard
