"""Neighbourhood components analysis (NCA). Goldberger et al. 2004, NeurIPS 17, section 2."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._distances import distance_rows
from lookalike.pairwise.similarity import row_logsumexp, unit_rows


def nca_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    scale: float = 1.0,
    normalise: bool = False,
    form: Literal["log", "expected"] = "log",
) -> Tensor:
    """How seldom a random neighbour, the likelier the nearer, is of a row's own class.

    Row i takes row j, never itself, for its neighbour with probability p_ij proportional to
    exp(-scale * |embeddings[i] - embeddings[j]|^2), and p_i is the sum of p_ij over its own class.
    Memory is O(N D); the arithmetic is that of `similarity`, float32 or float64.

    Args:
        embeddings: (N, D).
        labels: (N,) integers, any; equal ones are of one class.
        scale: > 0; embeddings times sqrt(scale) at a scale of 1 are the same. On the unit sphere 1
            leaves the softmax almost flat.
        normalise: take the rows to norm 1 first.
        form: "log" is -log p_i, the paper's second objective and the one that deep networks use;
            "expected" is 1 - p_i, the share of rows that a random neighbour gets wrong: the paper's
            first objective is the sum of all p_i.

    Returns:
        () mean over the rows that are not alone in their class: >= 0 in nats, or in [0, 1]. With
        all rows equal and K in each class p_i is (K - 1) / (N - 1). 0 where every row is alone, and
        where there is one class.

    Raises:
        ValueError: shapes do not match; scale <= 0; there is no such form.

    Deviations: a mean, where the paper has a sum. A row that is alone in its class has no p_i and
    adds no term; it is a neighbour that others may take.
    """
    _check.matrix(embeddings=embeddings)
    _check.labels_of(embeddings.shape[0], labels=labels)
    _check.positive(scale=scale)
    _check.one_of(("log", "expected"), form=form)
    precision = torch.promote_types(embeddings.dtype, torch.float32)
    z = unit_rows(embeddings) if normalise else embeddings.to(precision)
    rows, columns = distance_rows(z, z)
    own = row_logsumexp(
        rows, columns, scale=scale, exclude_self=True, row_labels=labels, among="same"
    )  # (N,)
    others = row_logsumexp(rows, columns, scale=scale, row_labels=labels, among="different")
    counted = own != -math.inf
    ahead = own.where(counted, 0.0) - others  # (N,) log-odds of p_i, inf where there is one class
    terms = -F.logsigmoid(ahead) if form == "log" else torch.sigmoid(-ahead)
    mean = terms.where(counted, 0.0).sum() / counted.sum().clamp_min(1)
    return mean.to(precision)
