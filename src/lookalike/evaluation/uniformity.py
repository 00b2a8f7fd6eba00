"""Alignment and uniformity. Wang & Isola 2020, arXiv:2005.10242, section 4.1."""

from __future__ import annotations

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses.alignment import alignment_loss
from lookalike.losses.uniformity import uniformity_loss


@torch.no_grad()
def alignment(first: Tensor, second: Tensor, *, power: float = 2.0) -> float:
    """Return the mean distance between two views of an image, to a power; equation 4.1.

    Args:
        first: (N, D), N >= 1, of one view each; any scale, unit vectors are compared.
        second: (N, D) of another view of the same images.
        power: > 0.

    Returns:
        In [0, 2 ** power]: at power 2, 0 for identical views, 2 for orthogonal, 4 for opposite.

    Raises:
        ValueError: shapes differ, are not matrices or hold no row; power <= 0.
    """
    return float(alignment_loss(first, second, power=power))


@torch.no_grad()
def uniformity(vectors: Tensor, *, t: float = 2.0, limit: int = 10_000, seed: int = 0) -> float:
    """Return the log of the mean Gaussian potential between two different images.

    Args:
        vectors: (N, D), N >= 2; any scale, unit vectors are compared.
        t: > 0, sharpness of the potential exp(-t * distance ** 2).
        limit: >= 2; of more rows than this, as many are drawn.
        seed: of that draw.

    Returns:
        In [-4 t, 0]: 0 for collapse; at t = 2 about -4 for vectors that fill a large sphere.

    Raises:
        ValueError: vectors are no matrix of at least two rows; t <= 0; limit < 2.
    """
    _check.matrix(vectors=vectors)
    _check.at_least(2, limit=limit)
    if len(vectors) > limit:
        drawn = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(seed))
        vectors = vectors[drawn[:limit].to(vectors.device)]
    return float(uniformity_loss(vectors, t=t))
