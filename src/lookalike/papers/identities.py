"""Losses that are the same under a condition: experiments without images."""

from __future__ import annotations

import torch
from torch import Tensor

from lookalike.losses.instance_cross_entropy import instance_cross_entropy_loss
from lookalike.losses.supcon import supcon_loss

IMAGES, DIM, TEMPERATURE = 24, 16, 0.1


def ice_against_nt_xent(*, positives: int, seed: int) -> float:
    """Return the largest difference of ICE and of NT-Xent's sum over all others, or of gradients.

    With two views an image SupCon is NT-Xent, which tests hold it to; with more, it is what
    NT-Xent becomes when each view has several partners.

    Args:
        positives: of every embedding.
        seed: of the embeddings.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = IMAGES * (positives + 1)
    embeddings = torch.randn(rows, DIM, generator=generator, dtype=torch.float64).requires_grad_()
    labels = torch.arange(IMAGES).repeat(positives + 1)
    both = [
        instance_cross_entropy_loss(embeddings, labels, temperature=TEMPERATURE),
        supcon_loss(embeddings, labels, temperature=TEMPERATURE),
    ]
    gradients: list[Tensor] = [torch.autograd.grad(loss, embeddings)[0] for loss in both]
    apart = [(both[0] - both[1]).abs(), (gradients[0] - gradients[1]).abs().max()]
    return float(torch.stack(apart).detach().max())


def rounding(*, seed: int) -> float:
    """Return what float64 may lose in such a sum, generously."""
    return 1e-12
