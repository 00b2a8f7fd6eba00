"""DrLIM's network for digits. Hadsell, Chopra and LeCun 2006, CVPR, section 3.2.

A 6 x 6 convolution, a 3 x 3 average, a 9 x 9 convolution and a fully connected layer: 32 px become
27, 9 and 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike import _check
from lookalike.backbones.base import Backbone

SIDE = 32
"""Pixels that the last layer covers."""


def drlim(*, dim: int = 2) -> DrLIMNet:
    """Return the network for digits.

    Args:
        dim: width of the map that it learns (paper: 2).
    """
    return DrLIMNet(dim)


class DrLIMNet(Backbone):
    """Two convolutions, of 15 and 30 maps, and a fully connected layer, on grey pictures.

    Deviations: what lies between the layers is not known to us; here it is tanh, as in the networks
    that its authors built then, and the average has no weights of its own. Of pictures larger than
    32 px the places of the last map are averaged.

    Args:
        dim: see `drlim`.

    Raises:
        ValueError: dim is below 1.
    """

    def __init__(self, dim: int) -> None:
        _check.at_least(1, dim=dim)
        super().__init__(dim=dim)
        self.first = nn.Conv2d(1, 15, 6)
        self.second = nn.Conv2d(15, 30, 9)
        self.connected = nn.Linear(30, dim)

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the map of each convolution: (B, 3, H, W) -> (B, C, H', W') each.

        Raises:
            ValueError: the images are smaller than 32 px.
        """
        if min(images.shape[2:]) < SIDE:
            raise ValueError(f"images must be at least {SIDE} px, got {tuple(images.shape)}")
        first = torch.tanh(self.first(images.mean(dim=1, keepdim=True)))  # (B, 15, 27, 27)
        second = torch.tanh(self.second(F.avg_pool2d(first, 3)))  # (B, 30, 1, 1)
        return first, second

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim)."""
        place: Tensor = self.connected(self.stages(images)[-1].mean(dim=(2, 3)))
        return place
