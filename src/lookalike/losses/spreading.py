"""Invariant and spreading instance feature. Ye et al. 2019, arXiv:1904.03436, equations 3 to 5."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lookalike import _check
from lookalike.pairwise.similarity import unit_rows

ROWS = 256
"""Rows compared at a time: more than these, and they are compared again in the backward pass."""


def spreading_loss(
    z1: Tensor,
    z2: Tensor,
    *,
    temperature: float = 0.1,
    spread: float = 1.0,
    stop_gradient: bool = True,
) -> Tensor:
    """-log P(partner | view), and -log(1 - P(other | view)) for each view that is not the partner.

    P(j | i) is a softmax over the cosines of view i with all other views of the batch, over the
    temperature: a view is to be recognised as its own image (invariant) and as no other
    (spreading). Memory is O(B D).

    Args:
        z1: (B, D) projections of the first views; any scale.
        z2: (B, D) of the second views, row i showing the image of row i of `z1`.
        temperature: > 0; lower weighs the nearest views more.
        spread: >= 0, weight of the spreading term (paper: 1).
        stop_gradient: whether the gradient reaches a view only where it is the one recognised, not
            where others are compared with it; the authors' code does so, the equations do not.

    Returns:
        () mean over the 2B views, in nats, >= 0. Where all rows are equal, with M = 2B - 1,
        log(M) + spread * (M - 1) * log(M / (M - 1)). 0 where B is 1.

    Raises:
        ValueError: shapes differ or are not 2-D; temperature <= 0; spread < 0.
    """
    _check.same_matrix(z1=z1, z2=z2)
    _check.positive(temperature=temperature)
    _check.at_least(0, spread=spread)
    z = unit_rows(torch.cat([z1, z2]))  # (2B, D)
    others = z.detach() if stop_gradient else z
    count = len(z)
    total = z.new_zeros(())
    for start in range(0, count, ROWS):
        block = (z[start : start + ROWS], others, start, temperature, spread)
        if count > ROWS and z.requires_grad:
            total = total + checkpoint(_of_rows, *block, use_reentrant=False)
        else:
            total = total + _of_rows(*block)
    return total / count


def _of_rows(rows: Tensor, others: Tensor, start: int, temperature: float, spread: float) -> Tensor:
    """Return the sum of the losses of rows start, start + 1, ... of all."""
    here = torch.arange(len(rows), device=rows.device)
    itself = (here + start)[:, None]
    partner = (itself + len(others) // 2) % len(others)
    with torch.autocast(rows.device.type, enabled=False):  # cosines need more than bfloat16
        cosines = rows @ others.T  # (R, 2B)
    logits = (cosines / temperature).scatter(1, itself, -torch.inf)
    recognised = logits.log_softmax(dim=1)
    invariant = -recognised.gather(1, partner).sum()
    if not spread:
        return invariant
    # log(1 - P), where P is neither 1, which has no logarithm, nor of the view or its partner.
    shares = recognised.exp().clamp(max=1 - torch.finfo(rows.dtype).eps)
    return invariant - spread * torch.log1p(-shares.scatter(1, partner, 0.0)).sum()
