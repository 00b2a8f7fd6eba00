"""SoftTriple: several centres a class. Qian et al. 2019, arXiv:1909.05235, equations 6 and 9."""

import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._margin_softmax import (
    check_classes,
    class_logsumexp,
    class_similarity,
    mean_of_known,
    prepared,
)


def soft_triple_loss(
    embeddings: Tensor,
    labels: Tensor,
    centres: Tensor,
    *,
    scale: float = 20.0,
    margin: float = 0.01,
    centres_of_a_class: int = 10,
    softness: float = 0.1,
    merging: float = 0.2,
) -> Tensor:
    """Cross entropy over classes that are several centres each, of which the near ones count most.

    The similarity of a class is the mean of the cosines with its centres, weighted by the softmax
    of cosine / softness. Memory is O((N + C) K D) and a tile; arithmetic is float32 or float64.

    Args:
        embeddings: (N, D); any scale.
        labels: (N,) integers below C; below 0 where unknown, which adds no term.
        centres: (C * centres_of_a_class, D), C >= 2, those of a class one after the other; any
            scale; they get a gradient.
        scale: lambda, > 0 (paper: 20).
        margin: delta, what is taken from the own class's similarity (paper: 0.01).
        centres_of_a_class: K (paper: 10).
        softness: gamma, > 0 (paper: 0.1).
        merging: tau, >= 0, weight of half the mean distance of two centres of a class, so that
            those which are not needed become one (paper: 0.2). A distance of 0 gets no gradient.

    Returns:
        () mean over the rows with a label, in nats, plus what the centres are apart, >= 0.

    Raises:
        ValueError: shapes do not match; fewer than two classes; a number is out of its range.
    """
    each = centres_of_a_class
    count = check_classes(embeddings, labels, centres, each=each, scale=scale, softness=softness)
    _check.at_least(0, merging=merging)
    z, w = prepared(embeddings, centres)
    w = w.view(count, each, -1)
    mine = w.index_select(0, labels.clamp_min(0))  # (N, K, D)
    own = class_similarity((z[:, None] * mine).sum(2), 1 / softness) - margin
    others = class_logsumexp(z, labels, w, scale=scale, sharpness=1 / softness)
    loss = mean_of_known(F.softplus(others - scale * own), labels)
    return loss + merging / 2 * _apart(w) if each > 1 and merging else loss


def _apart(centres: Tensor) -> Tensor:
    """Return the mean distance of two centres of a class."""
    total = centres.new_zeros(())
    each = centres.shape[1]
    for shift in range(1, each):  # centre k beside centre k + shift: no (C, K, K) matrix
        squares = (centres[:, shift:] - centres[:, :-shift]).square().sum(2)
        away = squares > 0
        total = total + squares.where(away, 1).sqrt().where(away, 0).sum()
    return total / (len(centres) * each * (each - 1) / 2)
