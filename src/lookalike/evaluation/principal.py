"""Principal components: the few directions in which vectors differ most. Pearson 1901."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lookalike import _check

FITTED = 4096  # rows that axes are fitted on, drawn with the seed; more hardly move the first ones
EXACT = 1024  # rows or columns up to which all axes are solved for
SPARE = 16  # directions carried along besides, and how often they are turned: the rest of the
TURNS = 4  # spectrum then hardly leaks into those that are kept


class Axes(NamedTuple):
    """Where vectors lie and how they spread.

    mean: (D,).
    axes: (D, count) orthonormal columns, the widest spread first.
    """

    mean: Tensor
    axes: Tensor

    def project(self, vectors: Tensor) -> Tensor:
        """Return the (N, count) components of (N, D) vectors."""
        return (vectors - self.mean) @ self.axes


def principal_axes(vectors: Tensor, *, count: int, seed: int = 0) -> Axes:
    """Return the directions of largest variance; the same for the same rows and seed.

    Where rows and columns are many, by subspace iteration from random directions: Halko,
    Martinsson, Tropp 2011, arXiv:0909.4061, algorithm 4.4.

    Args:
        vectors: (N, D) floating point, N >= 1.
        count: >= 1, directions; fewer where min(N, D) is.
        seed: of the rows that are drawn, of many, and of where the iteration begins.

    Raises:
        ValueError: vectors are not a matrix with at least one row, or count < 1.
    """
    _check.matrix(vectors=vectors)
    _check.at_least(1, count=count, rows=len(vectors))
    dice = torch.Generator().manual_seed(seed)
    if len(vectors) > FITTED:
        drawn = torch.randperm(len(vectors), generator=dice)[:FITTED]
        vectors = vectors[drawn.sort().values.to(vectors.device)]
    mean = vectors.mean(dim=0)
    rows = vectors - mean
    count = min(count, *rows.shape)
    if rows.shape[1] <= EXACT:
        products = rows.double().T @ rows.double()
        return Axes(mean, torch.linalg.eigh(products)[1].flip(1)[:, :count].to(rows.dtype))
    if rows.shape[0] <= EXACT:
        rows = rows.double()
        values, left = torch.linalg.eigh(rows @ rows.T)
        right = rows.T @ left.flip(1)[:, :count]
        real = values.flip(0)[:count] > values[-1] * 1e-12  # centred rows span one less than N
        axes = torch.linalg.qr(right[:, real])[0]
        return Axes(mean, axes.to(vectors.dtype))
    axes = torch.randn(rows.shape[1], min(count + SPARE, *rows.shape), generator=dice)
    axes = axes.to(rows)
    for _ in range(TURNS):
        axes = torch.linalg.qr(rows.T @ (rows @ axes))[0]
    turned = torch.linalg.svd(rows @ axes, full_matrices=False)[2].T  # (count + spare, ...)
    return Axes(mean, (axes @ turned)[:, :count])
