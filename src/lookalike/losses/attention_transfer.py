"""Attention transfer (AT). Zagoruyko & Komodakis 2017, arXiv:1612.03928, equation 2."""

import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._teacher import prepare
from lookalike.pairwise.similarity import unit_rows


def attention_transfer_loss(
    student_features: Tensor, teacher_features: Tensor, *, power: float = 2.0
) -> Tensor:
    """How differently student and teacher spread their attention over an image.

    Attention at a place is the sum over channels of |feature|^power, brought to norm 1 over all
    places; so the channels of both may be different ones, and as many as they like. At power 2 a
    scale, or an orthogonal mixing of the channels, changes nothing.

    Args:
        student_features: (N, C, H, W), N >= 1; gets the gradient.
        teacher_features: (N, C', H', W') of the same images; gets none. Where heights or widths
            differ, the larger map is pooled to the smaller by averages.
        power: >= 1 (paper: 2); higher looks at the strongest places alone.

    Returns:
        () mean over the N images of the squared distance of the two attentions, in [0, 2]; one that
        is 0 everywhere is at distance 1 from any other, and gets no gradient.

    Raises:
        ValueError: features are no maps of as many images, or hold none; power < 1.

    Deviations: squared, as in the authors' code, where the paper prints the norm; layers, to be
    summed over, and the weight are the method's affair.
    """
    _check.feature_maps(
        one_size=False, student_features=student_features, teacher_features=teacher_features
    )
    _check.at_least(1, power=power)
    student, teacher = prepare(student_features, teacher_features)
    height, width = map(min, student.shape[2:], teacher.shape[2:])
    ours, theirs = (
        unit_rows(_pooled(each, height, width).abs().pow(power).mean(1).flatten(1))
        for each in (student, teacher)
    )  # (N, height * width)
    loss: Tensor = (ours - theirs).square().sum(1).mean()
    return loss


def _pooled(features: Tensor, height: int, width: int) -> Tensor:
    if features.shape[2:] == (height, width):
        return features
    return F.adaptive_avg_pool2d(features, (height, width))
