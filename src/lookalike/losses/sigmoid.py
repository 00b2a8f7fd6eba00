"""Sigmoid loss of pairs. Zhai et al. 2023 (SigLIP), arXiv:2303.15343, section 3.2."""

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses._softplus import row_softplus
from lookalike.pairwise.similarity import unit_rows


def sigmoid_loss(
    embeddings: Tensor, labels: Tensor, *, scale: float = 10.0, bias: float = -10.0
) -> Tensor:
    """Is this pair of one class, or not? Each pair by itself, without a softmax over the others.

    A pair of one class costs softplus(-(scale * cosine + bias)), any other pair softplus(scale *
    cosine + bias). Memory is O(N D); the arithmetic is that of `similarity`, float32 or float64.

    Args:
        embeddings: (N, D), N >= 1; any scale.
        labels: (N,) integers, any; equal ones are of one class.
        scale: t, > 0.
        bias: b; below 0 says that most pairs are not alike, as is true of most batches.

    Returns:
        () sum over the ordered pairs of two rows over N, in nats, >= 0. Where all cosines are 0 and
        K rows are of each class it is (K - 1) softplus(-bias) + (N - K) softplus(bias).

    Raises:
        ValueError: shapes do not match; there is no row; scale <= 0.

    Deviations: images are compared with images, where the paper has images and texts, so that no
    row is compared with itself; scale and bias, which it learns, keep its first values.
    """
    _check.matrix(embeddings=embeddings)
    _check.labels_of(embeddings.shape[0], labels=labels)
    _check.at_least(1, rows=embeddings.shape[0])
    _check.positive(scale=scale)
    z = unit_rows(embeddings)
    offset = torch.full_like(z[:, 0], bias)
    alike = row_softplus(
        z,
        z,
        -offset,
        scale=-scale,
        row_labels=labels,
        column_labels=labels,
        among="same",
        exclude_self=True,
    )
    unlike = row_softplus(
        z,
        z,
        offset,
        scale=scale,
        row_labels=labels,
        column_labels=labels,
        among="different",
    )
    return (alike + unlike).mean()
