"""How much InfoNCE finds out about correlated Gaussians: an experiment of CPC's, without images."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lookalike.evaluation.mutual_information import (
    correlated_gaussians,
    gaussian_information,
    info_nce_bound,
)
from lookalike.pairwise.similarity import row_logsumexp

BATCH = 256
"""Draws a step, whatever the candidates: so every arm learns from as many."""

TESTS = 200
"""Batches of new draws that the bound is measured on."""


def information(*, width: int, correlation: float, seed: int) -> float:
    """Return the true mutual information in nats; see `gaussian_information`."""
    return gaussian_information(width=width, correlation=correlation)


def ceiling(*, candidates: int, width: int, correlation: float, seed: int) -> float:
    """Return the most that so many candidates can tell in nats, whatever the variables."""
    return math.log(candidates)


def estimate(
    *,
    candidates: int,
    width: int,
    correlation: float,
    seed: int,
    steps: int = 2000,
    hidden_dim: int = 64,
) -> float:
    """Return the bound in nats that a small critic learns to give.

    The critic is the paper's: an encoder for each variable, and a product of what they return.

    Args:
        candidates: N, a divisor of 256.
        width: coordinates of each variable.
        correlation: of each coordinate with its fellow, in (-1, 1).
        seed: of the weights and the draws.
        steps: of Adam, on 256 new draws each.
        hidden_dim: width of the encoders.

    Raises:
        ValueError: candidates is no divisor of 256.
    """
    if candidates < 1 or BATCH % candidates:
        raise ValueError(f"candidates must be a divisor of {BATCH}, got {candidates}")
    scale = 1 / math.sqrt(hidden_dim)
    group = torch.arange(BATCH) // candidates  # InfoNCE within each, all at once
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoders = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, hidden_dim),
                nn.ReLU(),
                nn.Linear(hidden_dim, hidden_dim),
                nn.ReLU(),
                nn.Linear(hidden_dim, hidden_dim),
            )
            for _ in range(2)
        )

        def loss() -> Tensor:
            drawn = correlated_gaussians(BATCH, width=width, correlation=correlation)
            query, key = (encode(x) for encode, x in zip(encoders, drawn, strict=True))
            scores = row_logsumexp(query, key, scale=scale, row_labels=group, among="same")
            mean: Tensor = (scores - scale * (query * key).sum(1)).mean()
            return mean

        optimizer = torch.optim.Adam(encoders.parameters(), lr=1e-3)
        for _ in range(steps):
            optimizer.zero_grad()
            loss().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            tested = sum(float(loss()) for _ in range(TESTS)) / TESTS
    return info_nce_bound(tested, candidates)
