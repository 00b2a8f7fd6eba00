"""A softmax over class centres whose own class is held back by a margin.

A margin changes the logit of an image's own class alone, so the cross entropy is softplus(log-sum-
exp over the other classes - the own logit), and no (N, C) matrix is needed.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lookalike import _check
from lookalike.pairwise.similarity import row_logsumexp, unit_rows

AREA = 2**20
"""Cosines with the centres of some classes made at a time, 4 MiB: backward makes them again."""


def check_classes(
    embeddings: Tensor, labels: Tensor, centres: Tensor, *, each: int = 1, **positive: float
) -> int:
    """Raise ValueError unless the shapes fit and the numbers are above 0; return the classes, C.

    Args:
        embeddings: (N, D).
        labels: (N,).
        centres: (C * each, D), the centres of a class one after the other.
        each: centres of a class.
        positive: numbers that must be above 0.
    """
    _check.same_width(embeddings=embeddings, centres=centres)
    _check.labels_of(embeddings.shape[0], labels=labels)
    _check.at_least(1, centres_of_a_class=each)
    _check.positive(**positive)
    if centres.shape[0] % each:
        raise ValueError(
            f"centres must be {each} for each class, got {centres.shape[0]}: not a multiple"
        )
    _check.at_least(2, classes=centres.shape[0] // each)
    return centres.shape[0] // each


def own_cosines(z: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """Return each unit row's cosine with the centre of its class, (N,); of any where unknown."""
    return (z * centres.index_select(0, labels.clamp_min(0))).sum(1)


def turned(cosines: Tensor, angle: Tensor | float) -> Tensor:
    """Return cos(theta + angle) of cos(theta), by the sum of angles: no arc cosine, no infinity.

    Where theta + angle is beyond pi, and the cosine would rise again, it is cos(theta) less
    angle * sin(angle), which still falls; where it is below 0, it is 1.

    Args:
        cosines: (N,) in [-1, 1] up to rounding.
        angle: in radians, in [-pi / 2, pi / 2]; one for all or (N,).
    """
    angle = torch.as_tensor(angle, dtype=cosines.dtype, device=cosines.device)
    result = cosines * angle.cos() - root_of_rest(cosines) * angle.sin()
    result = torch.where(cosines < -angle.cos(), cosines - angle * angle.sin(), result).where(
        angle > 0, result
    )
    return result.where((angle >= 0) | (cosines < angle.cos()), 1.0)


def root_of_rest(cosines: Tensor) -> Tensor:
    """Return sqrt(1 - cosines^2), whose slope at -1 and 1 is 0 in place of infinite."""
    rest = 1 - cosines.square()
    inside = rest > torch.finfo(cosines.dtype).eps
    return rest.where(inside, 1).sqrt().where(inside, 0)


def margin_cross_entropy(
    z: Tensor, labels: Tensor, centres: Tensor, own: Tensor, *, scale: float = 1.0
) -> Tensor:
    """Return the mean of -log(exp(own) / (exp(own) + sum over other classes of exp(scale z.w))).

    Args:
        z: (N, D), float32 or float64.
        labels: (N,) integers below C; below 0 where unknown, which adds no term.
        centres: (C, D), of the same precision.
        own: (N,) logits of the rows' own classes, with their margins.
        scale: of the other classes' products.
    """
    classes = torch.arange(centres.shape[0], device=labels.device)
    others = row_logsumexp(
        z, centres, scale=scale, row_labels=labels, column_labels=classes, among="different"
    )
    return mean_of_known(F.softplus(others - own), labels)


def mean_of_known(terms: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of the terms, (N,), of rows with a label; 0 where there is none."""
    known = labels >= 0
    return terms.where(known, 0.0).sum() / known.sum().clamp_min(1)


def class_logsumexp(
    z: Tensor, labels: Tensor, centres: Tensor, *, scale: float, sharpness: float
) -> Tensor:
    """Return the log-sum-exp over other classes of scale times a class's similarity, (N,).

    A class's similarity is that of `class_similarity`. Memory is O((N + C K) D) and one tile.

    Args:
        z: (N, D) unit rows.
        labels: (N,) integers.
        centres: (C, K, D) unit rows.
        scale: > 0.
        sharpness: as in `class_similarity`.
    """
    count, each = centres.shape[:2]
    width = max(1, AREA // (len(z) * each))
    parts = []
    for start in range(0, count, width):
        given = (z, labels, centres[start : start + width], start, scale, sharpness)
        if width < count and (z.requires_grad or centres.requires_grad):
            parts.append(checkpoint(_others_of_tile, *given, use_reentrant=False))
        else:
            parts.append(_others_of_tile(*given))
    return torch.stack(parts).logsumexp(0)


def _others_of_tile(  # noqa: PLR0917  checkpoint's arguments are positional
    z: Tensor, labels: Tensor, centres: Tensor, start: int, scale: float, sharpness: float
) -> Tensor:
    with torch.autocast(z.device.type, enabled=False):
        cosines = torch.einsum("nd,ckd->nck", z, centres)
    classes = start + torch.arange(centres.shape[0], device=labels.device)
    logits = scale * class_similarity(cosines, sharpness)  # (N, C')
    nothing = torch.finfo(logits.dtype).min / 8  # finite: a row may have no other class here
    return logits.masked_fill(labels[:, None] == classes, nothing).logsumexp(1)


def class_similarity(cosines: Tensor, sharpness: float) -> Tensor:
    """Return what the cosines with a class's K centres, (..., K), come to: (...,).

    Args:
        cosines: the last dimension is of the centres.
        sharpness: the mean of the cosines is weighted by the softmax of sharpness * cosine;
            infinity takes the largest.
    """
    if sharpness == math.inf:
        return cosines.amax(-1)
    return ((sharpness * cosines).softmax(-1) * cosines).sum(-1)


def prepared(embeddings: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as unit rows, in one precision: float32 at least."""
    precision = torch.promote_types(embeddings.dtype, centres.dtype)
    return unit_rows(embeddings.to(precision)), unit_rows(centres.to(precision))
