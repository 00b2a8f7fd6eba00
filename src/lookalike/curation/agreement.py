"""Whether two grey pictures show the same, detail by detail, once one is laid on the other.

An encoder is made to find look-alikes alike, so it cannot tell a copy from them. Here the second
picture is shifted, stretched and tilted until it lies on the first, by Gauss-Newton steps from
coarse to fine (Lucas and Kanade 1981, "An iterative image registration technique with an
application to stereo vision"), with a factor and an offset for its brightness. What counts is then
the correlation of the fine structure: of what remains of either when its surroundings are taken
off. That of copies is near 1, whatever their compression, size, crop and brightness; different
photos of the same thing agree in the large alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

SCALES = ((16, 5), (32, 3), (64, 2))  # pixels a side, steps
LIKELY = (0.6, 0.4)  # least correlation to go on: of all at the first, of details at the second
REACH = 0.25  # a shift, in half sides, or a change of scale is never larger
STEP = 0.15  # nor is one step's
SURROUNDINGS = 5  # pixels a side of what is taken off a pixel
TOGETHER = 256  # pairs at a time
OVERLAP = 0.15  # of the first that the second must lie on
BLOCK = 8  # pixels a side of the blocks that are kept or left out
LEFT_OUT = 0.25  # of the blocks, and of the details of one: where a stamp may be


class Laid(NamedTuple):
    """How well P pairs of pictures agree, and how the second then lies on the first.

    scores: (P,) of all but the quarter of the blocks that agree least, in [-1, 1]; 0 where they are
        unlike in the large, or have no detail at all.
    plain: (P,) of all blocks.
    halves: (P, 2) of the left and the right half of the first.
    warp: (P, 6) where (x, y) of the first is in the second, from edge to edge -1 to 1:
        (1 + w2) x + w3 y + w0 and w4 x + (1 + w5) y + w1.
    """

    scores: Tensor
    plain: Tensor
    halves: Tensor
    warp: Tensor


def agreement(first: Tensor, second: Tensor) -> Tensor:
    """Return how well the details of pictures agree as a whole, pair by pair.

    Args:
        first: (P, 64, 64) grey values.
        second: (P, 64, 64), likewise.

    Returns:
        (P,) float32 in [-1, 1]; 0 where they are unlike in the large, or have no detail at all.

    Raises:
        ValueError: shapes differ or are not of this size.
    """
    return lay(first, second).plain


def lay(first: Tensor, second: Tensor, windows: Tensor | None = None) -> Laid:
    """Lay each second picture on its first, and return how well they agree.

    Args:
        first: (P, 64, 64) grey values.
        second: (P, 64, 64), likewise.
        windows: (P, 3) where on the first to begin: the centre's x and y, from -1 to 1, and the
            share of the sides; None for the whole.

    Raises:
        ValueError: shapes differ or are not of this size.
    """
    if first.shape != second.shape or first.shape[1:] != (64, 64):
        raise ValueError(
            f"first and second must be (P, 64, 64), got {tuple(first.shape)} and "
            f"{tuple(second.shape)}"
        )
    start = torch.zeros(len(first), 6)
    if windows is not None:
        share = windows[:, 2]
        start[:, 0], start[:, 1] = -windows[:, 0] / share, -windows[:, 1] / share
        start[:, 2] = start[:, 5] = 1 / share - 1
    blocks = [torch.split(each, TOGETHER) for each in (first, second, start)]
    parts = [
        _lay(a[:, None].float() / 255, b[:, None].float() / 255, warp)
        for a, b, warp in zip(*blocks, strict=True)
    ]
    if not parts:
        return Laid(torch.zeros(0), torch.zeros(0), torch.zeros(0, 2), start)
    return Laid(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _lay(first: Tensor, second: Tensor, start: Tensor) -> Laid:
    """Return the agreement of (P, 1, 64, 64) pictures in [0, 1]."""
    count = len(first)
    found = Laid(torch.zeros(count), torch.zeros(count), torch.zeros(count, 2), start.clone())
    left, warp = torch.arange(count), start
    for number, (side, steps) in enumerate(SCALES):
        one, other = (
            F.interpolate(each[left], (side, side), mode="area") for each in (first, second)
        )
        for _ in range(steps):
            warp = _step(one, other, warp, start[left])
        target, laid, inside = _laid(one, other, warp)
        if number == len(LIKELY):
            target, laid = _details(target), _details(laid)
            found.plain[left] = _correlation(target, laid, inside)
            found.scores[left] = _correlation(target, laid, _best_blocks(target, laid, inside))
            for half in (0, 1):
                there = torch.zeros_like(inside)
                there[:, :, half * side // 2 : (half + 1) * side // 2] = 1
                found.halves[left, half] = _correlation(target, laid, inside * there)
            found.warp[left] = warp
            break
        if number:
            target, laid = _details(target), _details(laid)
            inside = _best_blocks(target, laid, inside)
        alike = _correlation(target, laid, inside)
        go_on = (alike >= LIKELY[number]) & (inside.mean(dim=(1, 2)) >= OVERLAP)
        left, warp = left[go_on], warp[go_on]
    return found


def _best_blocks(first: Tensor, second: Tensor, inside: Tensor) -> Tensor:
    """Return where both have pixels, (P, side, side), less the blocks that agree least.

    What a stamp covers would also sway how the pictures are scaled to each other. So the blocks
    are chosen twice, the second time by the scale that the first choice gives.
    """
    kept, side = inside, inside.shape[-1]
    size = BLOCK * side // 64
    for _ in range(2):
        one, other = (
            each / (each.square() * kept).sum(dim=(1, 2), keepdim=True).clamp_min(1e-12).sqrt()
            for each in (first, second)
        )
        apart = F.avg_pool2d(((one - other).square() * inside)[:, None], size)[:, 0].flatten(1)
        there = F.avg_pool2d(inside[:, None], size)[:, 0].flatten(1) > 0
        order = apart.where(there, -1.0).argsort(dim=1, descending=True)
        # a stamp is on one of the two, and the other has no more there than elsewhere; where both
        # have most of their details is what they are to be judged by
        held = [
            F.avg_pool2d((each.square() * inside)[:, None], size)[:, 0].flatten(1)
            for each in (one, other)
        ]
        shares = [
            (each / each.sum(dim=1, keepdim=True).clamp_min(1e-12)).gather(1, order).cumsum(dim=1)
            for each in held
        ]
        count = torch.arange(1, order.shape[1] + 1) <= LEFT_OUT * there.sum(dim=1, keepdim=True)
        dropped = count & (torch.minimum(*shares) <= LEFT_OUT)
        blocks = torch.ones_like(apart).scatter(1, order, (~dropped).float())
        blocks = blocks.reshape(len(first), 1, side // size, side // size)
        kept = inside * F.interpolate(blocks, (side, side), mode="nearest")[:, 0]
    return kept


def _step(first: Tensor, second: Tensor, warp: Tensor, start: Tensor) -> Tensor:
    """Return a better guess of where the pixels of the first are in the second.

    It solves first = factor * (second + its gradient . change) + offset by least squares.

    Args:
        first: (P, 1, side, side).
        second: likewise.
        warp: (P, 6), as of `Laid`.
        start: (P, 6), what it never leaves by more than `REACH`.
    """
    side = first.shape[-1]
    y, x = _grid(side)
    target, laid, inside = _laid(first, second, warp)
    across, down = torch.zeros_like(laid), torch.zeros_like(laid)
    across[:, :, 1:-1] = (laid[:, :, 2:] - laid[:, :, :-2]) * side / 4
    down[:, 1:-1] = (laid[:, 2:] - laid[:, :-2]) * side / 4
    # these are slopes along the first; the second's are smaller by how much it is stretched
    scale_x, scale_y = (1 + warp[:, at, None, None] for at in (2, 5))
    across, down = across / scale_x, down / scale_y
    columns = [across, down, across * x, across * y, down * x, down * y]
    columns += [laid, torch.ones_like(laid)]
    design = torch.stack([column.flatten(1) for column in columns], dim=1)  # (P, 8, side * side)
    weighted = design * inside.flatten(1)[:, None]
    normal = weighted @ design.transpose(1, 2)
    damping = 1e-3 * normal.diagonal(dim1=1, dim2=2) + 1e-6
    answer = weighted @ target.flatten(1)[:, :, None]
    solution: Tensor = torch.linalg.solve(normal + torch.diag_embed(damping), answer)[:, :, 0]
    change = solution[:, :6] / solution[:, 6:7].clamp_min(0.2)
    return start + (warp + change.clamp(-STEP, STEP) - start).clamp(-REACH, REACH)


def _laid(first: Tensor, second: Tensor, warp: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first, the second laid on it, and where both have pixels; (P, side, side) each."""
    side = first.shape[-1]
    y, x = _grid(side)
    shift_x, shift_y, xx, xy, yx, yy = warp[:, :, None, None].unbind(1)
    where_x, where_y = x * (1 + xx) + y * xy + shift_x, x * yx + y * (1 + yy) + shift_y
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
