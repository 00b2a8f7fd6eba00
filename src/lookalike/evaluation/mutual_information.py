"""What InfoNCE says of mutual information. van den Oord et al. 2018, arXiv:1807.03748, section 2.3.

Its appendix A.1 proves the bound; correlated Gaussians, whose information is known, test it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lookalike import _check


def info_nce_bound(loss: float, candidates: int) -> float:
    """Return the lower bound that InfoNCE gives on the mutual information: log N - L.

    Args:
        loss: InfoNCE in nats, averaged over draws, >= 0; what rounding takes below that counts
            as 0.
        candidates: N, the answers to choose from, the right one among them.

    Returns:
        In nats, at most log N: of more information than that, N candidates cannot tell. 0 for a
        blind guess, below 0 for a guess that is worse.

    Raises:
        ValueError: loss is below 0 by more than rounding; candidates < 1.
    """
    _check.at_least(-1e-3, loss=loss)
    _check.at_least(1, candidates=candidates)
    return math.log(candidates) - max(loss, 0.0)


def gaussian_information(*, width: int, correlation: float) -> float:
    """Return the mutual information of `correlated_gaussians`: -(d / 2) log(1 - rho^2), in nats.

    Args:
        width: d, coordinates of each variable.
        correlation: rho of each coordinate with its fellow, in (-1, 1).

    Raises:
        ValueError: a number is out of its range.
    """
    _check.at_least(1, width=width)
    _refuse_certainty(correlation)
    return -width / 2 * math.log1p(-(correlation**2))


def correlated_gaussians(
    count: int,
    *,
    width: int,
    correlation: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Return draws of two standard Gaussian variables, correlated coordinate by coordinate.

    Args:
        count: of the draws, >= 1.
        width: coordinates of each variable.
        correlation: of each coordinate with its fellow, in (-1, 1).
        generator: where randomness comes from; none: torch's own.

    Returns:
        (count, width) float32 each, row i of both drawn together.

    Raises:
        ValueError: a number is out of its range.
    """
    _check.at_least(1, count=count, width=width)
    _refuse_certainty(correlation)
    x, noise = torch.randn(2, count, width, generator=generator)
    return x, correlation * x + math.sqrt(1 - correlation**2) * noise


def _refuse_certainty(correlation: float) -> None:
    if not -1 < correlation < 1:
        raise ValueError(f"correlation must be in (-1, 1), got {correlation}")
