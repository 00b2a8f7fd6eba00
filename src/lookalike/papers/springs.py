"""DrLIM's springs: three points, two pairs of them alike, come to rest where the forces do."""

from __future__ import annotations

import torch
from torch import Tensor

from lookalike.losses.contrastive import contrastive_loss

FIRST, SECOND = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])
SIMILAR = torch.tensor([True, True, False])
"""The pairs A B and A C are alike, B C is not."""


def imbalance(*, margin: float, seed: int, steps: int, rate: float) -> float:
    """Return how far three springs are from where the paper's analogy has them at rest.

    There, A lies half-way between B and C, at a third of the margin m from each, and the energy is
    m^2 / 6.

    Args:
        margin: m > 0, the length at which the spring between B and C lets go.
        seed: of where the points start, in the plane.
        steps: of gradient descent on the energy.
        rate: of each.

    Returns:
        The largest error: of a distance, as a share of m, or of the energy, as a share of m^2.
    """
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(3, 2, generator=generator, dtype=torch.float64) * margin
    points.requires_grad_()
    for _ in range(steps):
        (slope,) = torch.autograd.grad(_energy(points, margin), points)
        with torch.no_grad():
            points -= rate * slope
    with torch.no_grad():
        lengths = (points[FIRST] - points[SECOND]).norm(dim=1) / margin
        errors = (lengths - lengths.new_tensor([1, 1, 2]) / 3).abs()
        error = (_energy(points, margin) / margin**2 - 1 / 6).abs()
    return float(torch.cat([errors, error[None]]).max())


def tolerance(*, margin: float, seed: int, share: float) -> float:
    """Return the error, as a share of the margin, that counts as none."""
    return share


def _energy(points: Tensor, margin: float) -> Tensor:
    """Return the sum of the loss over the three pairs."""
    return 3 * contrastive_loss(points[FIRST], points[SECOND], SIMILAR, margin=margin)
