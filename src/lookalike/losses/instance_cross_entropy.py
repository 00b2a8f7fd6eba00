"""Instance cross entropy (ICE). Wang et al. 2019, arXiv:1911.09976."""

import math

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses._classes import classes_of
from lookalike.losses._softplus import row_softplus
from lookalike.pairwise.similarity import row_logsumexp, unit_rows


def instance_cross_entropy_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    temperature: float = 1 / 64,
    normalise: bool = True,
) -> Tensor:
    """Cross entropy of finding one positive among an anchor's negatives, positive by positive.

    P(i | a) is a softmax over the cosines of anchor a, over the temperature, with its positive i
    and with all its negatives; the anchor's other positives have no part in it. Memory is O(N D),
    though there are up to N^2 terms; the arithmetic is that of `similarity`, float32 or float64.

    Args:
        embeddings: (N, D); any scale.
        labels: (N,) integers, any; equal ones are of one class.
        temperature: > 0; the paper's exponent s is 1 / temperature. It is what reweights samples:
            positive i pulls by 1 - P(i | a), and each negative pushes by its share in the same
            softmax, the more unequally the lower the temperature, down to the nearest one alone.
        normalise: compare cosines, as the paper does; otherwise raw dot products.

    Returns:
        () mean over all ordered pairs of a class, in nats, >= 0; log(1 + N - K) where all rows are
        equal and each class has K. 0 where every row is alone, and where there is one class.

    Raises:
        ValueError: shapes do not match; temperature <= 0.

    Deviations: the paper's value of s is not confirmed; 64 is usual for losses of this form. Its
    samples are reweighted by s alone, and gradients are those of the loss: nothing rescales them
    besides.
    """
    _check.matrix(embeddings=embeddings)
    _check.labels_of(embeddings.shape[0], labels=labels)
    _check.positive(temperature=temperature)
    precision = torch.promote_types(embeddings.dtype, torch.float32)
    z = unit_rows(embeddings) if normalise else embeddings.to(precision)
    scale = 1 / temperature
    negatives = row_logsumexp(
        z,
        scale=scale,
        row_labels=labels,
        among="different",
        bound=1.0 if normalise else math.inf,
    )  # (N,)
    # -log P(i | a) is softplus(negatives[a] - scale * cosine): 0 where there is no negative.
    sums = row_softplus(
        z,
        z,
        negatives.clamp_min(torch.finfo(z.dtype).min / 2),
        scale=-scale,
        row_labels=labels,
        column_labels=labels,
        among="same",
        exclude_self=True,
    )  # (N,) over an anchor's positives
    _, size = classes_of(labels)
    return sums.sum() / (size - 1).sum().clamp_min(1)
