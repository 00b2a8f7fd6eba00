"""CosFace: a margin of the cosine. Wang et al. 2018, arXiv:1801.09414, equation 4."""

from torch import Tensor

from lookalike import _check
from lookalike.losses._margin_softmax import (
    check_classes,
    margin_cross_entropy,
    own_cosines,
    prepared,
)


def cosface_loss(
    embeddings: Tensor,
    labels: Tensor,
    centres: Tensor,
    *,
    scale: float = 64.0,
    margin: float = 0.35,
) -> Tensor:
    """Cross entropy over cosines with class centres, an image's own lessened by a margin.

    Memory is O((N + C) D); the arithmetic is that of `similarity`, float32 or float64.

    Args:
        embeddings: (N, D); any scale.
        labels: (N,) integers below C; below 0 where unknown, which adds no term.
        centres: (C, D), C >= 2, one for each class; any scale; they get a gradient.
        scale: > 0 (paper: 64, for some ten thousand people and more).
        margin: >= 0, in units of cosine; 0 is the normalised softmax.

    Returns:
        () mean over the rows with a label, in nats, >= 0; log(1 + (C - 1) exp(-scale (1 - margin)))
        for rows on their own of orthogonal centres.

    Raises:
        ValueError: shapes do not match; fewer than two centres; scale <= 0; margin < 0.
    """
    check_classes(embeddings, labels, centres, scale=scale)
    _check.at_least(0, margin=margin)
    z, w = prepared(embeddings, centres)
    own = scale * (own_cosines(z, labels, w) - margin)
    return margin_cross_entropy(z, labels, w, own, scale=scale)
