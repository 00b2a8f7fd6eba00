"""Variational information distillation (VID). Ahn et al. 2019, arXiv:1904.05835."""

import math

import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._teacher import prepare


def vid_loss(
    student_mean: Tensor,
    teacher_features: Tensor,
    log_variance: Tensor,
    *,
    least_variance: float = 1e-5,
) -> Tensor:
    """How unlikely the teacher's features are under a Gaussian that the student predicts.

    The less so, the more the student's features tell of the teacher's: minus the loss bounds their
    mutual information from below, but for a constant. A channel that the student cannot predict
    gets a wide variance, and little weight.

    Args:
        student_mean: (N, C, ...), N >= 1: the mean that an adapter makes of the student's features;
            gets the gradient.
        teacher_features: (N, C, ...) of the same images; gets none.
        log_variance: (C,) a parameter learned beside the adapter, a number a channel; gets the
            gradient too.
        least_variance: > 0, added to every variance; without it, what is predicted perfectly would
            send the loss to minus infinity.

    Returns:
        () mean over the N images of the sum over all else of (mean - teacher)^2 / (2 variance) +
        log(variance) / 2, in nats: the negative log-likelihood, less log(2 pi) / 2 an element. Any
        sign.

    Raises:
        ValueError: shapes do not match, height and width included, or hold no row; least_variance
            <= 0.

    Deviations: the paper's variance is log(1 + exp(a)) of the parameter a. That is this loss at a
    log_variance of log(log(1 + exp(a))); here the parameter is the logarithm itself.
    """
    _check.same_shape(student_mean=student_mean, teacher_features=teacher_features)
    _check.positive(least_variance=least_variance)
    if student_mean.ndim < 2 or tuple(log_variance.shape) != (student_mean.shape[1],):
        raise ValueError(
            "log_variance must hold one number a channel of student_mean, got shapes "
            f"{tuple(log_variance.shape)} and {tuple(student_mean.shape)}"
        )
    student, teacher = prepare(student_mean, teacher_features)
    least = math.log(least_variance)
    logarithms = least + F.softplus(log_variance.to(student.dtype) - least)  # log(variance + least)
    logarithms = logarithms.view(-1, *[1] * (student.ndim - 2))  # (C, 1, ...)
    terms = (student - teacher).square() * (-logarithms).exp() + logarithms
    return terms.flatten(1).sum(1).mean() / 2
