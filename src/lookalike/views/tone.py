"""Changes of contrast and colour by principal axes and by HSV, each picture by its own amounts.

Dosovitskiy et al. 2014, arXiv:1406.6909, section 3.1. Pictures are (B, 3, H, W) float32 in [0, 1],
and so is every result.
"""

from __future__ import annotations

import torch
from torch import Tensor


def stretch_principal(images: Tensor, factors: Tensor) -> Tensor:
    """Stretch the colours of each picture along their principal axes, around their mean.

    Args:
        images: (B, 3, H, W).
        factors: (B, 3) along the axes of least, middle and most variance; 1 is as before.

    Returns:
        (B, 3, H, W), clamped to [0, 1].
    """
    pixels = images.flatten(2)  # (B, 3, P)
    mean = pixels.mean(2, keepdim=True)
    centred = pixels - mean
    axes = torch.linalg.eigh(centred @ centred.transpose(1, 2)).eigenvectors  # (B, 3, 3) columns
    # As a change to the picture, so that factors of 1 leave it as it is to the last bit.
    change = axes @ ((factors - 1)[:, :, None] * axes.transpose(1, 2))
    stretched: Tensor = pixels + change @ centred
    return stretched.view_as(images).clamp_(0, 1)


def change_tone(images: Tensor, power: Tensor, factor: Tensor, shift: Tensor) -> Tensor:
    """Raise saturation and value (HSV) to a power, multiply them, and add to them; hue stays.

    With V the largest channel and m the smallest, a channel c is V (1 - S k): S = (V - m) / V is
    the saturation, and k = (V - c) / (V - m), in [0, 1], tells the hue. A grey pixel has none and
    stays grey.

    Args:
        images: (B, 3, H, W).
        power: (B, 2) > 0, of saturation and value; 1 is as before.
        factor: (B, 2) likewise.
        shift: (B, 2) likewise; 0 is as before.

    Returns:
        (B, 3, H, W), saturation and value clamped to [0, 1].
    """
    value, low = images.amax(1), images.amin(1)  # (B, H, W)
    tiny = torch.finfo(images.dtype).tiny
    hue = (value[:, None] - images) / (value - low).clamp(min=tiny)[:, None]  # (B, 3, H, W)
    both = torch.stack([(value - low) / value.clamp(min=tiny), value], dim=1)  # (B, 2, H, W)
    power, factor, shift = (each[:, :, None, None] for each in (power, factor, shift))
    both = torch.addcmul(shift, both.pow(power), factor).clamp_(0, 1)
    saturation, value = both[:, :1], both[:, 1:]
    return value * (1 - saturation * hue)
