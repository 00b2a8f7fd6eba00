"""How many directions the embeddings use: the signs of collapse that need no labels.

RankMe: Garrido et al. 2022, arXiv:2210.02885, equation 1. alpha-ReQ: Agrawal et al. 2022,
arXiv:2202.05808. What to expect of them: the Cookbook, arXiv:2304.12210, section 3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lookalike import _check
from lookalike.pairwise.similarity import unit_rows

EPSILON = 1e-7  # RankMe's: added to every share, so that a missing direction has a logarithm
FIRST_RANK, LAST_RANK = 4, 100  # the part of the spectrum that alpha-ReQ fits


def spread(vectors: Tensor) -> float:
    """Return the mean deviation of a channel, as a share of what evenly spread vectors have.

    Args:
        vectors: (N, D), N >= 1; any scale, directions are what counts.

    Returns:
        sqrt(D) times the mean over channels of the standard deviation over unit vectors, in
        [0, 1]: 0 when all vectors point one way (collapse), about 1 when they fill the sphere.

    Raises:
        ValueError: vectors are not a matrix with at least one row.
    """
    _rows(vectors)
    deviations = unit_rows(vectors.double()).std(dim=0, correction=0)  # (D,)
    return float(deviations.mean() * math.sqrt(vectors.shape[1]))


def effective_rank(vectors: Tensor) -> float:
    """Return RankMe, the exponential of the entropy of the singular values.

    Args:
        vectors: (N, D) raw embeddings, neither centred nor normalised.

    Returns:
        Between 1 (one direction) and min(N, D) (all directions alike), up to about 1e-4 of it.

    Raises:
        ValueError: vectors are not a matrix with at least one row.
    """
    _rows(vectors)
    values = _gram_eigenvalues(vectors.double()).sqrt()
    shares = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny) + EPSILON
    return math.exp(float(-(shares * shares.log()).sum()))


def alpha_req(vectors: Tensor) -> float:
    """Return how fast the variances along the principal axes decay: alpha in rank ** -alpha.

    Args:
        vectors: (N, D) raw embeddings.

    Returns:
        The slope over ranks 4 to 100 of log variance against log rank, each rank weighted by its
        inverse. Near 1 is good; higher is closer to collapse, lower closer to noise; nan where
        there are fewer than two such ranks to fit.

    Raises:
        ValueError: vectors are not a matrix with at least one row.
    """
    _rows(vectors)
    centred = vectors.double()
    variances = _gram_eigenvalues(centred - centred.mean(dim=0)).flip(0)  # descending
    real = variances > variances[0] * len(variances) * torch.finfo(variances.dtype).eps
    variances = variances[real][FIRST_RANK - 1 : LAST_RANK]
    if len(variances) < 2:
        return math.nan
    ranks = torch.arange(FIRST_RANK, FIRST_RANK + len(variances), device=variances.device).double()
    weights = (1 / ranks) / (1 / ranks).sum()
    x = ranks.log() - (weights * ranks.log()).sum()
    y = variances.log() - (weights * variances.log()).sum()
    return float(-(weights * x * y).sum() / (weights * x * x).sum())


def _gram_eigenvalues(vectors: Tensor) -> Tensor:
    """Return the min(N, D) squared singular values, ascending and >= 0, from the smaller Gram."""
    tall = vectors.shape[0] >= vectors.shape[1]
    gram = vectors.T @ vectors if tall else vectors @ vectors.T
    values: Tensor = torch.linalg.eigvalsh(gram)
    return values.clamp_min(0)


def _rows(vectors: Tensor) -> None:
    _check.matrix(vectors=vectors)
    _check.at_least(1, rows=len(vectors))
