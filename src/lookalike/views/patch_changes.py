"""Changes to a batch of patches, each by its own draw from torch's generator. arXiv:1807.03748.

Section 3.2 (jitter), and CPC's second version, arXiv:1905.09272, section 4.1 (colour).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lookalike import _check


def jitter_patches(patches: Tensor, *, pixels: int) -> Tensor:
    """Cut a window out of each patch at random, and pad it with zeros to where it was.

    The window is `pixels` smaller than the patch and lands in its middle, so borders stop telling
    which patches lie side by side.

    Args:
        patches: (N, C, S, S).
        pixels: in [0, S - 1]; 0 changes nothing.

    Returns:
        (N, C, S, S).

    Raises:
        ValueError: pixels is out of its range.
    """
    side = patches.shape[-1]
    if not 0 <= pixels < side:
        raise ValueError(f"pixels must be in [0, {side - 1}], got {pixels}")
    if pixels == 0:
        return patches
    where = torch.arange(side, device=patches.device) - pixels // 2  # in the window
    outside = (where < 0) | (where >= side - pixels)  # (S,)
    start = torch.randint(pixels + 1, (2, len(patches), 1), device=patches.device)
    down, across = (start + where).clamp(0, side - 1)  # (N, S) each
    rows = patches.gather(2, down[:, None, :, None].expand_as(patches))
    window = rows.gather(3, across[:, None, None, :].expand_as(patches))
    return window.masked_fill(outside[:, None] | outside, 0)


def drop_colours(patches: Tensor, *, probability: float) -> Tensor:
    """Keep one colour of a patch, drawn at random, and put 0 in place of the others.

    Args:
        patches: (N, C, S, S).
        probability: of this happening to a patch, in [0, 1].

    Returns:
        (N, C, S, S).

    Raises:
        ValueError: probability is out of its range.
    """
    _check.fraction(probability=probability)
    if probability == 0:
        return patches
    count, channels = patches.shape[:2]
    kept = torch.randint(channels, (count, 1), device=patches.device)
    other = torch.arange(channels, device=patches.device) != kept  # (N, C)
    chosen = torch.rand(count, 1, device=patches.device) < probability
    return patches.masked_fill((other & chosen)[:, :, None, None], 0)
