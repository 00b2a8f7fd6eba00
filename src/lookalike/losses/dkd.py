"""Decoupled knowledge distillation (DKD). Zhao et al. 2022, arXiv:2203.08679, equation 7."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._teacher import prepare, standardised


def dkd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
    standardise: bool = False,
) -> Tensor:
    """KD in two parts: how likely the true class is, and which of the others are likelier.

    The first, TCKD, is KL(teacher || student) of "the true class" against "another"; the second,
    NCKD, that of the softmax over the other classes alone. KD weighs NCKD by the teacher's
    1 - p(true class), which silences it where the teacher is sure: `kd_loss` is this loss with
    alpha = 1 and beta = 1 - p, image by image.

    Args:
        student_logits: (N, C), N >= 1, C >= 3; gets the gradient.
        teacher_logits: (N, C) of the same images; gets none.
        labels: (N,) integers in [0, C - 1], the true classes.
        alpha: weight of TCKD, >= 0.
        beta: weight of NCKD, >= 0 (paper: 8, less for teachers that are less sure).
        temperature: T > 0 of both.
        standardise: whether each row of logits is first taken to mean 0 and variance 1 over the
            classes (arXiv:2403.01427).

    Returns:
        () mean over the N images of T^2 (alpha TCKD + beta NCKD), in T^2 nats, >= 0 up to rounding.

    Raises:
        ValueError: shapes do not match or hold no row; C < 3, for one other class alone has nothing
            to tell; alpha or beta < 0; temperature <= 0.

    Deviations: the paper lets this loss grow over the first 20 epochs, beside the cross entropy;
    both are the method's affair.
    """
    _check.same_matrix(student_logits=student_logits, teacher_logits=teacher_logits)
    _check.labels_of(len(student_logits), labels=labels)
    _check.at_least(3, classes=student_logits.shape[1])
    _check.at_least(0, alpha=alpha, beta=beta)
    _check.positive(temperature=temperature)
    sides = prepare(student_logits, teacher_logits)
    both = ((standardised(each) if standardise else each) / temperature for each in sides)
    (student, student_others), (teacher, teacher_others) = (_decoupled(z, labels) for z in both)
    divergences = alpha * _divergence(student, teacher)
    divergences = divergences + beta * _divergence(student_others, teacher_others)
    loss: Tensor = temperature**2 * divergences.mean()
    return loss


def _decoupled(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return log p of the true class and of another, (N, 2), and of each other class, (N, C).

    The log-odds of the true class are exact where its probability rounds to 1. In its own column
    stands minus infinity: probability 0.
    """
    own = labels[:, None]  # (N, 1)
    others = logits.scatter(1, own, -math.inf)  # (N, C)
    odds = logits.gather(1, own) - others.logsumexp(1, keepdim=True)  # (N, 1)
    return F.logsigmoid(torch.cat([odds, -odds], dim=1)), others.log_softmax(1)


def _divergence(log_q: Tensor, log_p: Tensor) -> Tensor:
    """Return KL(p || q) of every row, (N,); what has probability 0 in both adds nothing."""
    ratios = (log_p - log_q).masked_fill(log_p == -math.inf, 0.0)
    return (log_p.exp() * ratios).sum(1)
