"""AdaFace: a margin by quality. Kim, Jain and Liu 2022, arXiv:2204.00964, equations 13 to 15."""

import math

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses._margin_softmax import (
    check_classes,
    margin_cross_entropy,
    own_cosines,
    prepared,
    turned,
)


def adaface_loss(
    embeddings: Tensor,
    labels: Tensor,
    centres: Tensor,
    norm_mean: Tensor | float,
    norm_deviation: Tensor | float,
    *,
    scale: float = 64.0,
    margin: float = 0.4,
    concentration: float = 0.333,
) -> Tensor:
    """ArcFace where an image is poor, CosFace where it is good, by the norm of its embedding.

    With g the norm less its mean, over its deviation and times the concentration, cut to [-1, 1],
    the own cosine becomes cos(theta - margin g) - margin (1 + g): at g = -1 ArcFace, at 0 CosFace.
    Memory is O((N + C) D); the arithmetic is that of `similarity`, float32 or float64.

    Args:
        embeddings: (N, D); their norms count as constants.
        labels: (N,) integers below C; below 0 where unknown, which adds no term.
        centres: (C, D), C >= 2, one for each class; any scale; they get a gradient.
        norm_mean: () of the norms of recent batches.
        norm_deviation: () of the same, >= 0.
        scale: > 0 (paper: 64).
        margin: m, in [0, pi / 2].
        concentration: h, >= 0; at 0 every image is CosFace's.

    Returns:
        () mean over the rows with a label, in nats, >= 0.

    Raises:
        ValueError: shapes do not match; fewer than two centres; a number is out of its range.
    """
    check_classes(embeddings, labels, centres, scale=scale)
    _check.at_least(0, margin=margin, concentration=concentration)
    if margin > math.pi / 2:
        raise ValueError(f"margin must be at most pi / 2, got {margin}")
    z, w = prepared(embeddings, centres)
    norms = torch.linalg.vector_norm(embeddings.detach().to(z.dtype), dim=1)
    g = (norms.clamp(1e-3, 100) - norm_mean) / (norm_deviation + 1e-3) * concentration
    g = g.clamp(-1, 1)  # (N,)
    own = turned(own_cosines(z, labels, w), -margin * g) - margin * (1 + g)
    return margin_cross_entropy(z, labels, w, scale * own, scale=scale)
