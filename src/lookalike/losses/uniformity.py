"""Uniformity: all images far apart. Wang & Isola 2020, arXiv:2005.10242, section 4.1.2."""

import math

from torch import Tensor

from lookalike import _check
from lookalike.pairwise.similarity import row_logsumexp, unit_rows


def uniformity_loss(vectors: Tensor, *, t: float = 2.0) -> Tensor:
    """Log of the mean Gaussian potential exp(-t * distance ** 2) between two different images.

    Memory is O(B D).

    Args:
        vectors: (B, D), B >= 2, one view of each image; any scale.
        t: > 0, sharpness of the potential (paper: 2).

    Returns:
        () in [-4 t, 0]: 0 for collapse, -2 t for orthonormal rows; at t = 2 about -4 for vectors
        that fill a large sphere.

    Raises:
        ValueError: vectors are no matrix of at least two rows; t <= 0.
    """
    _check.matrix(vectors=vectors)
    _check.at_least(2, rows=len(vectors))
    _check.positive(t=t)
    # distance ** 2 = 2 - 2 cosine, so the potential is exp(2 t cosine) / exp(2 t)
    potentials = row_logsumexp(unit_rows(vectors), scale=2 * t, exclude_self=True, bound=1.0)
    pairs = len(vectors) * (len(vectors) - 1)
    loss: Tensor = potentials.logsumexp(0) - math.log(pairs) - 2 * t
    return loss
