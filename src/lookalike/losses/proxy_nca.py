"""Proxy-NCA: neighbours are one point a class. Movshovitz-Attias et al. 2017, arXiv:1703.07464."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._distances import distance_rows
from lookalike.pairwise.similarity import row_logsumexp, unit_rows


def proxy_nca_loss(
    embeddings: Tensor,
    labels: Tensor,
    proxies: Tensor,
    *,
    scale: float = 1.0,
    normalise: bool = True,
    exclude_own: bool = True,
) -> Tensor:
    """How much nearer a row is to the proxy of its class than to those of the other classes.

    With d the squared distance, the loss of a row is -log(exp(-scale * d(own)) / the sum of
    exp(-scale * d) over the other proxies). Memory is O((N + C) D); the arithmetic is that of
    `similarity`, float32 or float64.

    Args:
        embeddings: (N, D).
        labels: (N,) integers below C, positions of the rows' proxies; below 0 where unknown.
        proxies: (C, D); they get a gradient if they ask for one.
        scale: > 0; on the unit sphere 1 leaves the softmax almost flat.
        normalise: take embeddings and proxies to norm 1 first, as the paper does.
        exclude_own: leave a row's own proxy out of the sum, as the paper does. The loss then has no
            lower bound but the one that the sphere gives it; with the own proxy it is -log of a
            probability.

    Returns:
        () mean over the rows with a label, in nats: >= 0 with the own proxy, and on the sphere >=
        log(C - 1) - 4 * scale without. Where all distances are equal it is log(C) or log(C - 1).
        0 where no row has a label, and where there is no other proxy.

    Raises:
        ValueError: shapes do not match; scale <= 0.
    """
    _check.same_width(embeddings=embeddings, proxies=proxies)
    _check.labels_of(embeddings.shape[0], labels=labels)
    _check.at_least(1, proxies=proxies.shape[0])
    _check.positive(scale=scale)
    precision = torch.promote_types(embeddings.dtype, torch.float32)
    z, centres = embeddings.to(precision), proxies.to(precision)
    if normalise:
        z, centres = unit_rows(z), unit_rows(centres)
    rows, columns = distance_rows(z, centres)
    classes = torch.arange(columns.shape[0], device=labels.device)
    others = row_logsumexp(
        rows,
        columns,
        scale=scale,
        row_labels=labels,
        column_labels=classes,
        among="different",
    )  # (N,)
    own = (rows * columns.index_select(0, labels.clamp_min(0))).sum(1) * scale  # (N,)
    counted = (labels >= 0) & (proxies.shape[0] > 1)
    ahead = (own - others).where(counted, 0.0)
    terms = -ahead if exclude_own else -F.logsigmoid(ahead)
    mean = terms.where(counted, 0.0).sum() / counted.sum().clamp_min(1)
    return mean.to(precision)
