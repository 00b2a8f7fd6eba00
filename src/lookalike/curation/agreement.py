"""Whether two grey pictures show the same, detail by detail, once one is laid on the other.

An encoder is made to find look-alikes alike, so it cannot tell a copy from them. Here the second
picture is shifted and stretched until it lies on the first, by Gauss-Newton steps from coarse to
fine (Lucas and Kanade 1981, "An iterative image registration technique with an application to
stereo vision"), with a factor and an offset for its brightness. What counts is then the correlation
of the fine structure: of what remains of either when its surroundings are taken off. That of copies
is near 1, whatever their compression, size, crop and brightness; different photos of the same thing
agree in the large alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SCALES = ((16, 5), (32, 3), (64, 2))  # pixels a side, steps
LIKELY = (0.75, 0.5)  # least correlation to go on: of all at the first, of details at the second
REACH = 0.25  # a shift, in half sides, or a change of scale is never larger
STEP = 0.15  # nor is one step's
SURROUNDINGS = 5  # pixels a side of what is taken off a pixel
TOGETHER = 256  # pairs at a time


def agreement(first: Tensor, second: Tensor) -> Tensor:
    """Return how well the details of pictures agree, pair by pair.

    Args:
        first: (P, 64, 64) grey values.
        second: (P, 64, 64), likewise.

    Returns:
        (P,) float32 in [-1, 1]; 0 where they are unlike in the large, or have no detail at all.

    Raises:
        ValueError: shapes differ or are not of this size.
    """
    if first.shape != second.shape or first.shape[1:] != (64, 64):
        raise ValueError(
            f"first and second must be (P, 64, 64), got {tuple(first.shape)} and "
            f"{tuple(second.shape)}"
        )
    blocks = zip(torch.split(first, TOGETHER), torch.split(second, TOGETHER), strict=True)
    parts = [_agreement(a[:, None].float() / 255, b[:, None].float() / 255) for a, b in blocks]
    return torch.cat([torch.zeros(0), *parts])


def _agreement(first: Tensor, second: Tensor) -> Tensor:
    """Return the agreement of (P, 1, 64, 64) pictures in [0, 1]."""
    result, left = torch.zeros(len(first)), torch.arange(len(first))
    warp = torch.zeros(len(first), 4)
    for number, (side, steps) in enumerate(SCALES):
        one, other = (
            F.interpolate(each[left], (side, side), mode="area") for each in (first, second)
        )
        for _ in range(steps):
            warp = _step(one, other, warp)
        laid = _laid(one, other, warp)
        whole = (laid[0], laid[1]) if number == 0 else (_details(laid[0]), _details(laid[1]))
        alike = _correlation(*whole, laid[2])
        if number == len(LIKELY):
            result[left] = alike
            break
        go_on = alike >= LIKELY[number]
        left, warp = left[go_on], warp[go_on]
    return result


def _step(first: Tensor, second: Tensor, warp: Tensor) -> Tensor:
    """Return a better guess of where the pixels of the first are in the second.

    It solves first = factor * (second + its gradient . change) + offset by least squares.

    Args:
        first: (P, 1, side, side).
        second: likewise.
        warp: (P, 4), shifts along x and y, and by how much more than 1 to stretch along them.
    """
    side = first.shape[-1]
    y, x = _grid(side)
    target, laid, inside = _laid(first, second, warp)
    across, down = torch.zeros_like(laid), torch.zeros_like(laid)
    across[:, :, 1:-1] = (laid[:, :, 2:] - laid[:, :, :-2]) * side / 4
    down[:, 1:-1] = (laid[:, 2:] - laid[:, :-2]) * side / 4
    columns = [across, down, across * x, down * y, laid, torch.ones_like(laid)]
    design = torch.stack([column.flatten(1) for column in columns], dim=1)  # (P, 6, side * side)
    weighted = design * inside.flatten(1)[:, None]
    normal = weighted @ design.transpose(1, 2)
    damping = 1e-3 * normal.diagonal(dim1=1, dim2=2) + 1e-6
    answer = weighted @ target.flatten(1)[:, :, None]
    solution: Tensor = torch.linalg.solve(normal + torch.diag_embed(damping), answer)[:, :, 0]
    change = solution[:, :4] / solution[:, 4:5].clamp_min(0.2)
    return (warp + change.clamp(-STEP, STEP)).clamp(-REACH, REACH)


def _laid(first: Tensor, second: Tensor, warp: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first, the second laid on it, and where both have pixels; (P, side, side) each."""
    side = first.shape[-1]
    y, x = _grid(side)
    shift_x, shift_y, stretch_x, stretch_y = warp[:, :, None, None].unbind(1)
    where_x, where_y = x * (1 + stretch_x) + shift_x, y * (1 + stretch_y) + shift_y
    where = torch.stack([where_x, where_y], dim=-1)
    laid = F.grid_sample(second, where, padding_mode="border", align_corners=False)[:, 0]
    edge = 1 - 1 / side
    inside = ((where_x.abs() < edge) & (where_y.abs() < edge)).float()
    return first[:, 0], laid, inside


def _grid(side: int) -> tuple[Tensor, Tensor]:
    """Return the y and x of pixels, (side, side) each, from edge to edge -1 to 1."""
    centres = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return y, x


def _details(pictures: Tensor) -> Tensor:
    """Return (P, side, side) pictures less the mean of each pixel's surroundings."""
    reach = SURROUNDINGS // 2
    means = F.avg_pool2d(pictures[:, None], SURROUNDINGS, 1, reach, count_include_pad=False)
    return pictures - means[:, 0]


def _correlation(first: Tensor, second: Tensor, inside: Tensor) -> Tensor:
    """Return Pearson's correlation of pixels where both have some, (P,); 0 where one is flat."""
    count = inside.sum(dim=(1, 2), keepdim=True).clamp_min(1)

    def centred(values: Tensor) -> Tensor:
        return (values - (values * inside).sum(dim=(1, 2), keepdim=True) / count) * inside

    one, other = centred(first), centred(second)
    norms = (one.square().sum(dim=(1, 2)) * other.square().sum(dim=(1, 2))).sqrt()
    product = (one * other).sum(dim=(1, 2))
    return (product / norms.clamp_min(1e-12)).where(norms > 1e-6, 0).clamp(-1, 1)
