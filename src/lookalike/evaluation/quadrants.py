"""Features of a whole image from every layer's maps. Dosovitskiy et al. 2014, arXiv:1406.6909, 4.1.

A network trained on patches is asked about larger images: what each channel saw most strongly in
each quarter of the image, for all layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class HasStages(Protocol):
    """A backbone that shows the maps between its layers."""

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return (B, C, H', W') a layer, of (B, 3, H, W) images."""


def quadrant_maxima(maps: Tensor) -> Tensor:
    """Return the largest value of each channel in each quarter of a map.

    Of an odd side the middle belongs to both halves, so a map of one place has it four times.

    Args:
        maps: (B, C, H, W).

    Returns:
        (B, 4 C): all channels of the upper left, the upper right, the lower left, the lower right.

    Raises:
        ValueError: the maps are not 4-D, or have no place.
    """
    if maps.ndim != 4 or not maps.shape[2] * maps.shape[3]:
        raise ValueError(f"maps must be (B, C, H, W) with a place, got {tuple(maps.shape)}")
    height, width = ((side + 1) // 2 for side in maps.shape[2:])
    return torch.cat(
        [
            part.amax(dim=(2, 3))
            for rows in (maps[:, :, :height], maps[:, :, -height:])
            for part in (rows[..., :width], rows[..., -width:])
        ],
        dim=1,
    )


def quadrant_features(stages: Sequence[Tensor]) -> Tensor:
    """Return `quadrant_maxima` of every layer, side by side: (B, 4 times the sum of channels).

    Args:
        stages: (B, C, H, W) a layer; channels and sides differ among layers.
    """
    return torch.cat([quadrant_maxima(maps) for maps in stages], dim=1)
