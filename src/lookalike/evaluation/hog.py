"""No learning either: histograms of oriented gradients, and of colours.

HOG: Dalal & Triggs 2005, CVPR, section 6: 9 orientations, cells of 8 x 8 pixels, blocks of 2 x 2
cells that overlap by one, each clipped and normalised (L2-Hys). Colours: Swain & Ballard 1991,
Color Indexing, shares of pixels in a cube of 4 x 4 x 4 bins.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import _check

CELL = 8  # pixels
BLOCK = 2  # cells
ORIENTATIONS = 9
LEAST, MOST = 16, 48  # pixels of a side: one block; 5 x 5 blocks
SHADES = 4  # bins of a colour channel
CLIP, EPSILON = 0.2, 1e-5  # of L2-Hys
AT_A_TIME = 1024  # pictures, so that what is held besides them stays small


def hog_with_colours(squares: Tensor) -> Tensor:
    """Return how edges run in each part of a picture, and which colours it has.

    Pictures are brought to between 16 and 48 pixels a side. Both halves have length 1, so that they
    weigh alike.

    Args:
        squares: (N, 3, size, size) uint8.

    Returns:
        (N, 36 * (side // 8 - 1) ** 2 + 64) float32 of length sqrt(2), or 1 where there is no edge.
    """
    parts = [squares.new_zeros(0, _width(squares.shape[-1]), dtype=torch.float32)]
    for part in torch.split(squares, AT_A_TIME) if len(squares) else ():
        shapes = F.normalize(hog(_resized(part.float() / 255)), dim=1)
        parts.append(torch.cat([shapes, colours(part)], dim=1))
    return torch.cat(parts)


def hog(pictures: Tensor) -> Tensor:
    """Return the histograms of oriented gradients of some pictures, block by block.

    A pixel has the gradient of the channel where it is largest; those at the border have none
    across it. Each adds its length to the one of nine directions of 20 degrees that it points in,
    whichever way along it.

    Args:
        pictures: (N, 3, H, W) floating point, each side at least 16; pixels beyond the last whole
            cell add to none.

    Returns:
        (N, blocks down * blocks across * 36), in each block cell by cell.

    Raises:
        ValueError: a side is below 16.
    """
    _check.at_least(LEAST, height=pictures.shape[2], width=pictures.shape[3])
    down, across = torch.zeros_like(pictures), torch.zeros_like(pictures)
    down[:, :, 1:-1] = pictures[:, :, 2:] - pictures[:, :, :-2]
    across[..., 1:-1] = pictures[..., 2:] - pictures[..., :-2]
    lengths, channel = torch.hypot(down, across).max(dim=1)  # (N, H, W)
    down, across = (each.gather(1, channel[:, None])[:, 0] for each in (down, across))
    degrees = torch.rad2deg(torch.atan2(down, across)) % 180
    direction = (degrees * (ORIENTATIONS / 180)).long().clamp(max=ORIENTATIONS - 1)

    count, height, width = lengths.shape
    rows, columns = height // CELL, width // CELL
    cell = (torch.arange(rows * CELL) // CELL)[:, None] * columns + (
        torch.arange(columns * CELL) // CELL
    )
    place = cell.to(lengths.device) * ORIENTATIONS + direction[:, : rows * CELL, : columns * CELL]
    cells = lengths.new_zeros(count, rows * columns * ORIENTATIONS)
    lengths = lengths[:, : rows * CELL, : columns * CELL]
    cells.scatter_add_(1, place.flatten(1), lengths.flatten(1) / CELL**2)
    cells = cells.view(count, rows, columns, ORIENTATIONS)

    blocks = cells.unfold(1, BLOCK, 1).unfold(2, BLOCK, 1)  # (N, rows - 1, columns - 1, 9, 2, 2)
    blocks = blocks.permute(0, 1, 2, 4, 5, 3).flatten(3)
    blocks = (blocks / _length(blocks)).clamp(max=CLIP)
    return (blocks / _length(blocks)).flatten(1)


def colours(squares: Tensor) -> Tensor:
    """Return the square roots of the shares of a picture's pixels by colour.

    Their products are the Bhattacharyya coefficients of two pictures.

    Args:
        squares: (N, 3, H, W) uint8.

    Returns:
        (N, 64) float32 of length 1; red counts 16, green 4, blue 1.
    """
    shade = (squares.long() * SHADES) >> 8
    bins = ((shade[:, 0] * SHADES + shade[:, 1]) * SHADES + shade[:, 2]).flatten(1)
    counts = torch.zeros(len(squares), SHADES**3, device=squares.device)
    counts.scatter_add_(1, bins, torch.ones_like(bins, dtype=counts.dtype))
    return (counts / bins.shape[1]).sqrt()


def _length(blocks: Tensor) -> Tensor:
    return (blocks.square().sum(dim=3, keepdim=True) + EPSILON**2).sqrt()


def _resized(pictures: Tensor) -> Tensor:
    side = _side(pictures.shape[-1])
    if side == pictures.shape[-1]:
        return pictures
    return F.interpolate(pictures, side, mode="bicubic", antialias=True)


def _side(size: int) -> int:
    return min(max(size, LEAST), MOST)


def _width(size: int) -> int:
    return (_side(size) // CELL - 1) ** 2 * BLOCK**2 * ORIENTATIONS + SHADES**3
