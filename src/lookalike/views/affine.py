"""Shifts, turns and zooms of a batch of pictures, each by its own amount, in one resampling.

Dosovitskiy et al. 2014, arXiv:1406.6909, section 3.1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(images: Tensor, shift: Tensor, scale: Tensor, angle: Tensor) -> Tensor:
    """Scale and turn each picture around its centre, then shift it; bilinear.

    Beyond its borders a picture goes on as in a mirror.

    Args:
        images: (B, 3, S, S) float32.
        shift: (B, 2) right and down, as a share of the side.
        scale: (B,) > 0; above 1 what is shown becomes larger.
        angle: (B,) in radians, clockwise as seen.

    Returns:
        (B, 3, S, S); a picture with shift 0, scale 1 and angle 0 comes out to rounding.

    Raises:
        ValueError: the pictures are not square.
    """
    size = images.shape[-1]
    if images.shape[-2] != size:
        raise ValueError(f"images must be (B, 3, S, S), got {tuple(images.shape)}")
    # From a place in the result back to one in the picture, both in halves of a side.
    place = (2 * torch.arange(size, device=images.device) + 1) / size - 1
    across = place - 2 * shift[:, :1]  # (B, S)
    down = place - 2 * shift[:, 1:]
    cosine, sine = angle.cos() / scale, angle.sin() / scale  # (B,)
    across, down = across[:, None, :], down[:, :, None]
    cosine, sine = cosine[:, None, None], sine[:, None, None]
    grid = torch.stack(
        [cosine * across + sine * down, cosine * down - sine * across], dim=3
    )  # (B, S, S, 2) x and y
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
