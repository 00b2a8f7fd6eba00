"""ArcFace: a margin of the angle. Deng et al. 2018, arXiv:1801.07698, equation 3.

Sub-centres: Deng et al. 2020, "Sub-center ArcFace: Boosting Face Recognition by Large-Scale Noisy
Web Faces", ECCV.
"""

import math

import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._margin_softmax import (
    check_classes,
    class_logsumexp,
    class_similarity,
    margin_cross_entropy,
    mean_of_known,
    own_cosines,
    prepared,
    turned,
)


def arcface_loss(
    embeddings: Tensor,
    labels: Tensor,
    centres: Tensor,
    *,
    scale: float = 64.0,
    margin: float = 0.5,
    centres_of_a_class: int = 1,
) -> Tensor:
    """Cross entropy over cosines with class centres, the angle to an image's own widened.

    Memory is O((N + C) K D), and a tile; arithmetic is float32 or float64.

    Args:
        embeddings: (N, D); any scale.
        labels: (N,) integers below C; below 0 where unknown, which adds no term.
        centres: (C * centres_of_a_class, D), C >= 2, those of a class one after the other; any
            scale; they get a gradient.
        scale: > 0 (paper: 64, for some ten thousand people and more).
        margin: in [0, pi / 2], in radians; 0 is the normalised softmax.
        centres_of_a_class: K; of several the nearest counts, so that images with a wrong label
            gather at one of their own (paper: 3).

    Returns:
        () mean over the rows with a label, in nats, >= 0; log(1 + (C - 1) exp(-scale cos(margin)))
        for rows on their own of orthogonal centres.

    Raises:
        ValueError: shapes do not match; fewer than two classes; a number is out of its range.

    Deviations: where the widened angle passes pi, the cosine less margin * sin(margin) stands for
    it, as in the authors' code, for it keeps falling.
    """
    each = centres_of_a_class
    count = check_classes(embeddings, labels, centres, each=each, scale=scale)
    _check.at_least(0, margin=margin)
    if margin > math.pi / 2:
        raise ValueError(f"margin must be at most pi / 2, in radians, got {margin}")
    z, w = prepared(embeddings, centres)
    if each == 1:
        own = scale * turned(own_cosines(z, labels, w), margin)
        return margin_cross_entropy(z, labels, w, own, scale=scale)
    w = w.view(count, each, -1)
    mine = w.index_select(0, labels.clamp_min(0))  # (N, K, D)
    nearest = class_similarity((z[:, None] * mine).sum(2), math.inf)
    others = class_logsumexp(z, labels, w, scale=scale, sharpness=math.inf)
    return mean_of_known(F.softplus(others - scale * turned(nearest, margin)), labels)
