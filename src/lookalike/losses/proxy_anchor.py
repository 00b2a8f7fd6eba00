"""Proxy-Anchor. Kim et al. 2020, arXiv:2003.13911, equation 4."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.losses._margin_softmax import check_classes, prepared
from lookalike.pairwise.similarity import row_logsumexp


def proxy_anchor_loss(
    embeddings: Tensor,
    labels: Tensor,
    centres: Tensor,
    *,
    scale: float = 32.0,
    margin: float = 0.1,
) -> Tensor:
    """Every class centre pulls the batch's images of its class, and pushes all others, by softplus.

    The far images of its class and the near ones of others weigh most. Memory is O((N + C) D); the
    arithmetic is that of `similarity`, float32 or float64.

    Args:
        embeddings: (N, D); any scale.
        labels: (N,) integers in [0, C - 1].
        centres: (C, D), C >= 2, one for each class; any scale; they get a gradient.
        scale: alpha, > 0 (paper: 32).
        margin: delta, in units of cosine (paper: 0.1).

    Returns:
        () >= 0: the mean over the classes in the batch of log(1 + sum over their images of
        exp(-alpha (cosine - delta))), plus the mean over all classes of log(1 + sum over other
        images of exp(alpha (cosine + delta))).

    Raises:
        ValueError: shapes do not match; fewer than two centres; scale <= 0.
    """
    count = check_classes(embeddings, labels, centres, scale=scale)
    z, w = prepared(embeddings, centres)
    classes = torch.arange(count, device=labels.device)
    attract = row_logsumexp(
        w, z, scale=-scale, row_labels=classes, column_labels=labels, among="same"
    )  # (C,), -inf where no image is of the class
    repel = row_logsumexp(
        w, z, scale=scale, row_labels=classes, column_labels=labels, among="different"
    )
    there = attract > -torch.inf
    pulled = F.softplus(attract.where(there, 0.0) + scale * margin).where(there, 0.0)
    pushed = F.softplus(repel + scale * margin)
    return pulled.sum() / there.sum().clamp_min(1) + pushed.mean()
