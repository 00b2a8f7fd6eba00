"""Supervised contrastive learning. Khosla et al. 2020, arXiv:2004.11362, equations 2 and 3."""

import math
from typing import Literal

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses._classes import classes_of
from lookalike.pairwise.similarity import row_logsumexp, unit_rows


def supcon_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    temperature: float = 0.1,
    normalise: bool = True,
    form: Literal["out", "in"] = "out",
) -> Tensor:
    """Cross entropy of finding the rows of an anchor's class among all others.

    With P the softmax over the cosines of an anchor with all other rows, over the temperature, the
    loss of an anchor is the mean of -log P over its positives ("out"), or -log of the mean of P
    over them ("in"). With two views an image and images as classes both are NT-Xent. Memory is
    O(N D); the arithmetic is that of `similarity`, float32 or float64.

    Args:
        embeddings: (N, D); views of one image are rows of their own.
        labels: (N,) integers, any; equal ones are of one class.
        temperature: > 0; lower weighs the nearest rows more.
        normalise: compare cosines, as the paper does; otherwise raw dot products.
        form: where the mean over positives stands: outside of the logarithm (equation 2, the
            paper's choice) or inside (equation 3, never larger).

    Returns:
        () mean over the anchors that are not alone in their class, in nats, >= 0; log(N - 1) where
        all rows are equal, 0 where every row is alone.

    Raises:
        ValueError: shapes do not match; temperature <= 0; there is no such form.

    Deviations: a mean over anchors, where the paper has a sum. A row that is alone in its class is
    no anchor, but a negative of others.
    """
    _check.matrix(embeddings=embeddings)
    _check.labels_of(embeddings.shape[0], labels=labels)
    _check.positive(temperature=temperature)
    _check.one_of(("out", "in"), form=form)
    precision = torch.promote_types(embeddings.dtype, torch.float32)
    z = unit_rows(embeddings) if normalise else embeddings.to(precision)
    scale = 1 / temperature
    first, size = classes_of(labels)
    counted, positives = size > 1, (size - 1).clamp_min(1).to(z.dtype)  # (N,)
    others = row_logsumexp(
        z, scale=scale, exclude_self=True, bound=1.0 if normalise else math.inf
    )  # (N,)
    if form == "out":
        totals = torch.zeros_like(z).index_add(0, first, z).index_select(0, first)  # (N, D)
        found = (z * (totals - z)).sum(1) * scale / positives  # (N,)
    else:
        own = row_logsumexp(z, scale=scale, exclude_self=True, row_labels=labels, among="same")
        found = own - positives.log()
    terms = (others - found).where(counted, 0.0)
    return terms.sum() / counted.sum().clamp_min(1)
