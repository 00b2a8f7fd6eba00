"""A learned Mahalanobis distance: DrLIM's contrastive loss with a linear map, on all pairs at once.

The distance is |A x - A y|, so M = A^T A; the loss is equation 1 of Hadsell, Chopra and LeCun 2006.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike import _check
from lookalike.evaluation.lbfgs import minimise

ROWS = 256  # vectors whose distances to all others are held at once


def fit_mahalanobis(
    vectors: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], *, dim: int
) -> npt.NDArray[np.float64]:
    """Return A, (dim, D), that brings a class together and keeps classes apart.

    Half the mean over similar pairs of D^2 / 2, plus half the mean over dissimilar pairs of
    max(0, 1 - D)^2 / 2: both kinds weigh the same, however many there are. A margin of m in place
    of 1 would give m A. The search begins with the principal axes, on which the root mean square
    distance is made 1, and ends in a minimum near them: the loss is not convex in A.

    Args:
        vectors: (N, D), finite.
        labels: (N,) classes; vectors of label -1 take no part.
        dim: in [1, D].

    Raises:
        ValueError: shapes do not fit, dim is out of its range, all pairs are of one kind, or the
            vectors are all equal.
    """
    _check.matrix(vectors=vectors)
    _check.labels_of(len(vectors), labels=labels)
    if not 1 <= dim <= vectors.shape[1]:
        raise ValueError(f"dim must be in [1, {vectors.shape[1]}], got {dim}")
    known = labels >= 0
    x = torch.from_numpy(np.asarray(vectors[known], dtype=np.float64))
    y = torch.from_numpy(np.unique(labels[known], return_inverse=True)[1].astype(np.int64))
    similar = int((y.bincount() * (y.bincount() - 1)).sum())  # ordered pairs
    dissimilar = len(x) * (len(x) - 1) - similar
    if not (similar and dissimilar):
        kind = "dissimilar" if dissimilar else "similar"
        raise ValueError(f"labels must make pairs of both kinds, got {kind} ones only")
    x = x - x.mean(dim=0)
    axes = torch.linalg.svd(x, full_matrices=True)[2][:dim].T  # (D, dim)
    scale = (2 * len(x) / (len(x) - 1) * (x @ axes).square().sum(dim=1).mean()).sqrt()
    if not scale > 0:
        raise ValueError("vectors must differ, got equal ones only")

    def loss(map_: Tensor) -> tuple[Tensor, Tensor]:
        return contrastive_slope(x / scale, y, map_, weights=(1 / similar, 1 / dissimilar))

    found = minimise(loss, axes, tolerance=1e-5) / scale
    return np.asarray(found.T.numpy())


def contrastive_slope(
    x: Tensor, y: Tensor, map_: Tensor, *, weights: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Return the loss of a linear map over all ordered pairs, and its slope; memory is O(N D).

    Args:
        x: (N, D) vectors.
        y: (N,) classes.
        map_: (D, dim), A transposed.
        weights: of a similar pair and of a dissimilar one; the whole is halved.
    """
    mapped = x @ map_
    value, slope = x.new_zeros(()), torch.zeros_like(map_)
    for start in range(0, len(x), ROWS):
        rows = slice(start, start + ROWS)
        apart = torch.cdist(
            mapped[rows], mapped, compute_mode="donot_use_mm_for_euclid_dist"
        )  # (R, N)
        alike = y[rows, None] == y
        short = torch.where(alike, 0, (1 - apart).clamp(min=0))
        itself = torch.arange(len(apart)), torch.arange(start, start + len(apart))
        short[itself] = 0
        value = value + weights[0] * apart[alike].square().sum() / 4
        value = value + weights[1] * short.square().sum() / 4
        # Each pair pulls or pushes along its difference; two points in one place push nowhere.
        force = torch.where(alike, weights[0], -weights[1] * short / apart.clamp(min=1e-12)) / 2
        force[itself] = 0
        pull = force.sum(dim=1, keepdim=True) * mapped[rows] - force @ mapped
        slope = slope + 2 * x[rows].T @ pull
    return value, slope
