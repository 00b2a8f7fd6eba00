"""3 x 3 convolutions that train faster on a CPU. Lavin & Gray 2015, arXiv:1509.09308, section 4."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

POINTS = {2: (0, 1, -1), 3: (0, 3 / 4, -3 / 4, 2), 4: (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)}
"""Where polynomials are evaluated, for tiles of so many pixels.

Infinity is one point more. Reciprocals of both signs keep the rounding low: a float32 result is
off by less than 1e-6 of its size, where a plain convolution is by 3e-7.
"""


class Conv3x3(nn.Conv2d):
    """A 3 x 3 convolution without bias that keeps the size, but for its stride.

    Parameters and meaning are those of `nn.Conv2d`. In training on a CPU it takes another way to
    the same numbers, where that is faster: `winograd` in float32, `unfolded` in bfloat16.

    Args:
        channels: C of the input, (B, C, H, W).
        out_channels: O of the output, (B, O, H / stride, W / stride).
        stride: in pixels, both ways.
    """

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(channels, out_channels, 3, stride, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H / stride, W / stride)."""
        channels, side = min(self.in_channels, self.out_channels), max(images.shape[2:])
        if (
            self.training
            and self.stride == (1, 1)
            and images.device.type == "cpu"
            and not torch.compiler.is_compiling()
        ):
            precision = images.dtype
            if torch.is_autocast_enabled("cpu"):
                precision = torch.get_autocast_dtype("cpu")
            # the bounds are where the other way began to win on two cores, batch 256
            if precision == torch.float32 and channels >= 64 and side <= channels:
                return winograd(images, self.weight)
            if precision == torch.bfloat16 and channels >= 64 and side <= 8:
                return unfolded(images, self.weight)
        return super().forward(images)


class Conv1x1(nn.Conv2d):
    """A 1 x 1 convolution without bias.

    Parameters and meaning are those of `nn.Conv2d`. With few channels it picks the pixels that it
    needs before it starts: on a CPU, the gradient of a strided one with fewer than 8 channels that
    lie last in memory writes where it must not, and takes the process down (torch 2.15).

    Args:
        channels: C of the input, (B, C, H, W).
        out_channels: O of the output, (B, O, H / stride, W / stride).
        stride: in pixels, both ways.
    """

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(channels, out_channels, 1, stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H / stride, W / stride)."""
        if self.in_channels < 8 and self.stride != (1, 1):
            down, across = self.stride
            return F.conv2d(images[:, :, ::down, ::across], self.weight)
        return super().forward(images)


def unfolded(images: Tensor, weight: Tensor) -> Tensor:
    """Return a 3 x 3 convolution as one matrix product over all neighbourhoods.

    Args:
        images: (B, C, H, W).
        weight: (O, C, 3, 3).

    Returns:
        (B, O, H, W), its channels last in memory.
    """
    height, width = images.shape[2:]
    padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))  # (B, H + 2, W + 2, C)
    offsets = [(down, across) for down in range(3) for across in range(3)]
    neighbours = [padded[:, y : y + height, x : x + width] for y, x in offsets]
    matrix = weight.permute(2, 3, 1, 0).flatten(0, 2)  # (9 C, O)
    return (torch.cat(neighbours, dim=3) @ matrix).permute(0, 3, 1, 2)


def winograd(images: Tensor, weight: Tensor) -> Tensor:
    """Return a 3 x 3 convolution from 2.25 products a pixel in place of 9, or nearly so.

    A convolution of a tile is a product of polynomials, and that is a product of their values at
    enough points: Y = A' [(G w G') * (B' d B)] A, the paper's equation 8. What is left of the work
    is one matrix product over channels for each pair of points.

    Args:
        images: (B, C, H, W).
        weight: (O, C, 3, 3).

    Returns:
        (B, O, H, W), its channels last in memory.
    """
    down, across = (_axis(side, images.dtype) for side in images.shape[2:])
    values = _evaluate(images, down, across)  # (B * tiles, points, C)
    kernels = _evaluate_kernels(weight, down, across)  # (points, C, O)
    products = torch.bmm(values.transpose(0, 1), kernels)  # (points, B * tiles, O)
    return _interpolate(products.transpose(0, 1), images.shape, down, across)


@dataclass(frozen=True)
class _Axis:
    """How a side of a map is cut into tiles, and the paper's matrices for them.

    tile: pixels of a tile.
    tiles: that cover the side, the last of them perhaps in part.
    points: where the polynomials of a tile are evaluated.
    evaluate: (tiles * points, side): B' at every tile; what reaches over the border counts 0.
    kernel: (points, 3): G.
    interpolate: (tile, points): A'.
    """

    tile: int
    tiles: int
    points: int
    evaluate: Tensor
    kernel: Tensor
    interpolate: Tensor


@cache
def _axis(side: int, dtype: torch.dtype) -> _Axis:
    tile = min(POINTS, key=lambda tile: -(-side // tile) * (tile + 2))
    tiles, points = -(-side // tile), tile + 2
    patch = torch.linalg.inv(_powers(tile, points)).T  # (points, points): B'
    evaluate = torch.zeros(tiles * points, tiles * tile + 2, dtype=torch.float64)
    for number in range(tiles):
        start = number * tile
        evaluate[number * points : (number + 1) * points, start : start + points] = patch
    return _Axis(
        tile,
        tiles,
        points,
        evaluate[:, 1 : side + 1].to(dtype),
        _powers(tile, 3).to(dtype),
        _powers(tile, tile).T.to(dtype),
    )


def _powers(tile: int, count: int) -> Tensor:
    """Return (points, count): powers 0 to count - 1 of each point, the last one at infinity."""
    finite = torch.tensor(POINTS[tile], dtype=torch.float64)[:, None]
    infinite = F.one_hot(torch.tensor([count - 1]), count)
    return torch.cat([finite ** torch.arange(count), infinite])


def _evaluate(images: Tensor, down: _Axis, across: _Axis) -> Tensor:
    """Return B' d B of every tile: (B, C, H, W) -> (B * tiles, points, C)."""
    batch, channels, height, width = images.shape
    rows = images.permute(0, 2, 3, 1).reshape(batch * height, width, channels)
    values = (across.evaluate @ rows).view(batch, height, -1)
    values = (down.evaluate @ values).view(
        batch, down.tiles, down.points, across.tiles, across.points, channels
    )
    return values.transpose(2, 3).reshape(-1, down.points * across.points, channels)


def _evaluate_kernels(weight: Tensor, down: _Axis, across: _Axis) -> Tensor:
    """Return G w G': (O, C, 3, 3) -> (points, C, O)."""
    out_channels, channels = weight.shape[:2]
    kernels = weight.permute(2, 3, 1, 0).reshape(9, channels * out_channels)
    values = torch.kron(down.kernel, across.kernel) @ kernels
    return values.view(-1, channels, out_channels)


def _interpolate(products: Tensor, shape: torch.Size, down: _Axis, across: _Axis) -> Tensor:
    """Return A' m A in its place: (B * tiles, points, O) -> (B, O, H, W)."""
    tiles = torch.kron(down.interpolate, across.interpolate) @ products
    batch, _, height, width = shape
    maps = tiles.view(batch, down.tiles, across.tiles, down.tile, across.tile, -1)
    maps = maps.transpose(2, 3).reshape(
        batch, down.tiles * down.tile, across.tiles * across.tile, -1
    )
    return maps[:, :height, :width].permute(0, 3, 1, 2)
