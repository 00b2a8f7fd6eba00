"""No learning at all: pictures compared pixel by pixel, which an encoder has to beat."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

SIDE = 32  # pixels; larger pictures compare worse, for details then have to lie on each other


def raw_pixels(squares: Tensor) -> Tensor:
    """Return the pixels of pictures, shrunk to at most 32 x 32, less each picture's mean.

    Args:
        squares: (N, 3, size, size) uint8.

    Returns:
        (N, 3 * side ** 2) float32, side the smaller of size and 32.
    """
    pictures = squares.float() / 255
    if squares.shape[-1] > SIDE:
        pictures = F.interpolate(pictures, SIDE, mode="bicubic", antialias=True)
    pixels = pictures.flatten(1)
    return pixels - pixels.mean(dim=1, keepdim=True)
