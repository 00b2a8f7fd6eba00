"""Normalised softmax. Zhai & Wu 2018, arXiv:1811.12649, equation 6."""

from torch import Tensor

from lookalike.losses._margin_softmax import (
    check_classes,
    margin_cross_entropy,
    own_cosines,
    prepared,
)


def normalised_softmax_loss(
    embeddings: Tensor, labels: Tensor, centres: Tensor, *, scale: float = 20.0
) -> Tensor:
    """Cross entropy of the softmax over cosines with class centres.

    Memory is O((N + C) D); the arithmetic is that of `similarity`, float32 or float64.

    Args:
        embeddings: (N, D); any scale.
        labels: (N,) integers below C; below 0 where unknown, which adds no term.
        centres: (C, D), C >= 2, one for each class; any scale; they get a gradient.
        scale: > 0, 1 / temperature.

    Returns:
        () mean over the rows with a label, in nats, >= 0; log(1 + (C - 1) exp(-scale)) for rows on
        their own of orthogonal centres.

    Raises:
        ValueError: shapes do not match; fewer than two centres; scale <= 0.
    """
    check_classes(embeddings, labels, centres, scale=scale)
    z, w = prepared(embeddings, centres)
    own = scale * own_cosines(z, labels, w)
    return margin_cross_entropy(z, labels, w, own, scale=scale)
