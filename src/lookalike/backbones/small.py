"""A small convolutional network: enough for small pictures and quick experiments."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone


def small_conv(*, width: int = 32) -> SmallConv:
    """Return four 3 x 3 convolutions, each with batch normalisation and ReLU: dim is 8 * width.

    Args:
        width: channels of the first convolution; each of the others doubles them.
    """
    return SmallConv(width)


class SmallConv(Backbone):
    """Four convolutions, the last three of which halve the size, and an average.

    Args:
        width: see `small_conv`.

    Raises:
        ValueError: width is below 1.
    """

    def __init__(self, width: int) -> None:
        _check.at_least(1, width=width)
        super().__init__(dim=8 * width)
        channels = (3, width, 2 * width, 4 * width, 8 * width)
        self.widths = channels[1:]
        self.layers = nn.Sequential()
        for number, (before, after) in enumerate(pairwise(channels)):
            stride = 1 if number == 0 else 2
            self.layers.append(nn.Conv2d(before, after, 3, stride, padding=1, bias=False))
            self.layers.append(nn.BatchNorm2d(after))
            self.layers.append(nn.ReLU(inplace=True))

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the map of every convolution: (B, 3, H, W) -> (B, C, H', W') each."""
        maps, x = [], images
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                maps.append(x)
        return tuple(maps)

    def after(self, stage: int) -> nn.Module:
        """Return the layers after so many convolutions, and the average: of maps to (B, dim)."""
        return nn.Sequential(*self.layers[3 * stage :], nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim), the average over the last map."""
        maps: Tensor = self.layers(images)  # (B, dim, H / 8, W / 8)
        return maps.mean(dim=(2, 3))
