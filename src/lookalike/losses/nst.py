"""Neuron selectivity transfer (NST). Huang & Wang 2017, arXiv:1707.01219, section 4."""

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses._teacher import prepare
from lookalike.pairwise.similarity import unit_rows


def nst_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """How differently the channels of student and teacher choose their places in an image.

    A channel is a vector over the places, of norm 1, and an image's channels are a sample of such
    vectors. The loss is the squared maximum mean discrepancy of the two samples under the paper's
    polynomial kernel K(a, b) = (a . b)^2: mean K(S, S) + mean K(T, T) - 2 mean K(S, T). That is the
    squared distance of the two matrices of second moments, so that places times places, or channels
    times channels, whichever is less, is all that is held of an image.

    Args:
        student_features: (N, C, H, W), N >= 1; gets the gradient.
        teacher_features: (N, C', H, W) of the same images; gets none.

    Returns:
        () mean over the N images, in [0, 2], 0 up to rounding where one's channels are the other's
        in any order. A channel that is 0 everywhere stays so, and gets no gradient.

    Raises:
        ValueError: features are no maps of as many images, of one height and width, or hold none.

    Deviations: the paper's weight is halved in its loss; that is the method's affair.
    """
    _check.feature_maps(
        one_size=True, student_features=student_features, teacher_features=teacher_features
    )
    student, teacher = map(_unit_channels, prepare(student_features, teacher_features))
    with torch.autocast(student.device.type, enabled=False):  # squares of bfloat16 tell little
        if student.shape[2] <= max(student.shape[1], teacher.shape[1]):
            discrepancies = (_moments(student) - _moments(teacher)).square().sum((1, 2))
        else:
            discrepancies = _kernel(student, student) + _kernel(teacher, teacher)
            discrepancies = discrepancies - 2 * _kernel(student, teacher)
    loss: Tensor = discrepancies.mean()
    return loss


def _unit_channels(features: Tensor) -> Tensor:
    """Return the channels as vectors of norm 1, (N, C, H * W)."""
    return unit_rows(features.flatten(2).flatten(0, 1)).view(*features.shape[:2], -1)


def _moments(channels: Tensor) -> Tensor:
    """Return the mean outer product of an image's channels, (N, H * W, H * W)."""
    return channels.mT @ channels / channels.shape[1]


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean kernel of two samples of an image's channels, (N,)."""
    return (first @ second.mT).square().mean((1, 2))
