"""Changes to a batch of pictures, each picture by its own amount: torchvision's functions, batched.

Pictures are (B, 3, H, W) float32 in [0, 1], and so is every result, on the device of the pictures.
Amounts are (B,) tensors, so nothing waits for the device and no shape depends on a value. An amount
may say "not at all", which leaves that picture as it is to the last bit.
"""

from __future__ import annotations

import functools
from typing import Literal

import torch
from torch import Tensor

Interpolation = Literal["bicubic", "bilinear"]

_LOOKED_UP = 2**23  # numbers that a table of crops may hold: 32 MiB
_LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601, rounded as torchvision rounds it


def _from_both_sides(rows: Tensor, images: Tensor, columns: Tensor) -> Tensor:
    """Multiply each colour plane of each picture from the left and, transposed, from the right.

    Args:
        rows: (B, S, H).
        images: (B, 3, H, W).
        columns: (B, T, W).

    Returns:
        (B, 3, S, T), colour planes apart in memory, which suits what follows.
    """
    count, channels, height, width = images.shape
    lines = images.reshape(count, channels * height, width) @ columns.transpose(1, 2)
    planes = lines.view(count, channels, height, -1).unbind(1)  # (B, H, T) each
    return torch.stack([rows @ plane for plane in planes]).transpose(0, 1)


def _each(amounts: Tensor) -> Tensor:
    """Stretch (B,) to (B, 1, 1, 1)."""
    return amounts.view(-1, 1, 1, 1)


# Crop


def _triangle(distance: Tensor) -> Tensor:
    """Bilinear weight at a distance of at least 0."""
    return (1 - distance).clamp_(min=0)


def _keys(distance: Tensor) -> Tensor:
    """Bicubic weight (Keys 1981, a = -1/2) at a distance of at least 0.

    Two cubics, one that ends at 1 and one that ends at 2, instead of a choice between pieces.
    """
    beyond = distance - 1
    near = beyond.clamp(max=0)
    far = (beyond - 1).clamp_(max=0)
    weight = (near * 2).add_(1).mul_(near).mul_(near)
    return weight.addcmul_(beyond.mul_(far), far, value=-0.5)


_FILTERS = {"bilinear": _triangle, "bicubic": _keys}


def resize_weights(
    start: Tensor,
    length: Tensor,
    *,
    size: int,
    extent: int,
    interpolation: Interpolation = "bicubic",
    mirrored: Tensor | None = None,
) -> Tensor:
    """Return the matrices that crop a row of pixels and resize the crop, with antialiasing.

    Args:
        start: (B,) first pixel of the crop.
        length: (B,) pixels of the crop, at least 1.
        size: S, pixels of the result.
        extent: N, pixels of the row.
        interpolation: the filter between pixels.
        mirrored: (B,) bool, whose result is turned around.

    Returns:
        (B, S, N) float32; rows sum to 1 and are 0 outside the crop.
    """
    place = torch.arange(size, dtype=torch.float32, device=start.device).expand(len(start), size)
    if mirrored is not None:
        place = torch.where(mirrored[:, None], size - 1 - place, place)
    scale = length[:, None] / size  # (B, 1) pixels of the crop a pixel of the result
    centre = (place + 0.5) * scale + (start[:, None] - 0.5)  # (B, S) in pixels of the row
    narrow = 1 / scale.clamp(min=1)  # shrinking widens the filter
    pixel = torch.arange(extent, device=start.device)  # (N,)
    distance = (pixel * narrow)[:, None, :] - (centre * narrow)[:, :, None]  # (B, S, N)
    weights = _FILTERS[interpolation](distance.abs_())
    inside = (pixel >= start[:, None]) & (pixel < (start + length)[:, None])  # (B, N)
    weights *= inside[:, None, :].float()
    return weights.div_(weights.sum(2, keepdim=True))


@functools.cache
def _all_resize_weights(size: int, extent: int, interpolation: Interpolation) -> Tensor:
    """Return the matrices of all crops of a row, and then all of them mirrored, (2C, S, N).

    They are in the order of their first and then of their last pixel.
    """
    first, last = torch.triu_indices(extent, extent)  # (C,) each, C = N (N + 1) / 2
    weights = resize_weights(
        first, last - first + 1, size=size, extent=extent, interpolation=interpolation
    )
    return torch.cat([weights, weights.flip(1)])


def _resize_weights(
    start: Tensor,
    length: Tensor,
    mirrored: Tensor,
    *,
    size: int,
    extent: int,
    interpolation: Interpolation,
) -> Tensor:
    """Return `resize_weights`: on a CPU by looking up, where small rows have few crops."""
    crops = extent * (extent + 1) // 2
    few = 2 * crops * size * extent <= _LOOKED_UP
    if few and start.device.type == "cpu" and not torch.compiler.is_compiling():
        number = start * (2 * extent - start + 1) // 2 + length - 1 + crops * mirrored
        return _all_resize_weights(size, extent, interpolation).index_select(0, number)
    return resize_weights(
        start, length, size=size, extent=extent, interpolation=interpolation, mirrored=mirrored
    )


def resized_crop(
    images: Tensor,
    boxes: Tensor,
    *,
    size: int,
    interpolation: Interpolation = "bicubic",
    mirrored: Tensor | None = None,
) -> Tensor:
    """Cut a box out of each picture and resize it to a square, with antialiasing.

    A crop is linear in the pixels, rows and columns apart: two matrix products a picture.

    Args:
        images: (B, 3, H, W) uint8.
        boxes: (B, 4) int64: top, left, height, width; inside the picture, sides at least 1.
        size: S, side of the result.
        interpolation: the filter between pixels; bicubic overshoots, so results are clamped.
        mirrored: (B,) bool, which results are flipped left to right.

    Returns:
        (B, 3, S, S) float32 in [0, 1], colour planes apart in memory.
    """
    height, width = images.shape[2:]
    if not len(images):
        return torch.empty(0, images.shape[1], size, size, device=images.device)
    if mirrored is None:
        mirrored = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    rows, columns = _resize_weights(
        boxes[:, :2].T.reshape(-1),  # all tops, then all lefts
        boxes[:, 2:].T.reshape(-1),
        torch.cat([torch.zeros_like(mirrored), mirrored]),
        size=size,
        extent=max(height, width),
        interpolation=interpolation,
    ).chunk(2)  # (B, S, N) each
    pictures = images.float().mul_(1 / 255)
    return _from_both_sides(rows[:, :, :height], pictures, columns[:, :, :width]).clamp_(0, 1)


def flip(images: Tensor, chosen: Tensor) -> Tensor:
    """Mirror the chosen pictures, (B,) bool, left to right."""
    return torch.lerp(images, images.flip(3), _each(chosen.float()))


# Colour


def _luma(images: Tensor) -> Tensor:
    """Return (B, 1, H, W) brightness as the eye weighs it."""
    red, green, blue = images.unbind(1)
    return (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])[:, None]


def greyscale(images: Tensor, chosen: Tensor) -> Tensor:
    """Take all colour out of the chosen pictures, (B,) bool."""
    return torch.lerp(_luma(images), images, _each(1 - chosen.float()))


def _blend(images: Tensor, factor: Tensor, mean: Tensor, pixel: Tensor) -> Tensor:
    """Move pictures away from black (factor > 1) or towards it; or, instead of black, grey.

    Args:
        images: (B, 3, H, W).
        factor: (B, 1, 1, 1) share of the picture; exactly 1 changes nothing.
        mean: (B, 1, 1, 1) 1 where the grey is the picture's mean one (contrast), else 0.
        pixel: (B, 1, 1, 1) 1 where the grey is each pixel's own (saturation), else 0.
    """
    grey = _luma(images)
    level = grey.mean((2, 3), keepdim=True)
    grey = torch.addcmul(level.mul_(mean), grey, pixel)
    return torch.lerp(grey, images, factor).clamp_(0, 1)


def shift_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn every colour around the wheel, its value and saturation (HSV) kept.

    With V the largest and m the smallest of r, g, b and C = V - m, the hue in sixths of a turn is
    h = sign(g - b) (g + b - r + V - 2m) / C, and a channel is m + C clamp(2 - d, 0, 1), d its
    distance on the wheel from h: one formula, where the usual one has six cases.

    Args:
        images: (B, 3, H, W).
        turns: (B,) in [-0.5, 0.5] of the wheel.

    Returns:
        (B, 3, H, W).
    """
    red, green, blue = images.unbind(1)  # (B, H, W) each
    value = torch.maximum(green, blue)
    value = torch.maximum(value, red, out=value)
    low = torch.minimum(green, blue)
    low = torch.minimum(low, red, out=low)
    chroma = (value - low).clamp_(min=torch.finfo(low.dtype).tiny)  # no hue, but no 0 / 0
    hue = (green + blue).sub_(red).add_(value).sub_(low, alpha=2)
    hue.div_(chroma).copysign_(green - blue)  # in [-3, 3]
    hue.add_(6 * turns[:, None, None])
    hue.sub_((hue / 6).floor_(), alpha=6)  # in [0, 6]
    centres = torch.arange(0, 6, 2, device=hue.device)[:, None, None]  # red, green, blue
    shares = (hue[:, None] - centres).abs_().sub_(3).abs_().clamp_(1, 2)  # 1 + clamp(2 - d, 0, 1)
    return torch.addcmul((low - chroma)[:, None], chroma[:, None], shares)


def colour_jitter(
    images: Tensor,
    factors: Tensor,
    order: Tensor,
    *,
    chosen: Tensor | None = None,
    hue_place: int | None = None,
) -> Tensor:
    """Change brightness, contrast, saturation and hue, in each picture's own order.

    Hue costs the most, so it comes once. The other three are one blend, whose grey says which of
    them it is; three blends before the hue and three after hold any order.

    Args:
        images: (B, 3, H, W).
        factors: (B, 4) of brightness, contrast, saturation (1 is as before) and turn of the hue.
        order: (B, 4) a permutation of 0 to 3: the place in line of each of the four.
        chosen: (B,) bool, which pictures to change; by default all.
        hue_place: the hue's place where all pictures have the same; it spares three idle blends.

    Returns:
        (B, 3, H, W), clamped to [0, 1] after each change.
    """
    slot = order[:, :3] + 2 * (order[:, :3] > order[:, 3:])  # before the hue 0 to 2, then 3 to 5
    taken = slot[:, None, :] == torch.arange(6, device=order.device)[:, None]  # (B, 6, 3)
    taken = taken.float()  # at most one 1 a blend
    factor = torch.lerp(torch.ones_like(taken), factors[:, None, :3], taken).prod(2)  # (B, 6)
    parts = torch.stack([factor, taken[:, :, 1], taken[:, :, 2]])[..., None, None, None]
    blends = parts.unbind(2)  # six times (3, B, 1, 1, 1)
    before, after = (3, 3) if hue_place is None else (hue_place, hue_place + 3)
    jittered = images
    for blend in blends[:before]:
        jittered = _blend(jittered, *blend)
    jittered = shift_hue(jittered, factors[:, 3])
    for blend in blends[after:]:
        jittered = _blend(jittered, *blend)
    return jittered if chosen is None else torch.lerp(images, jittered, _each(chosen.float()))


# Sharpness and tone


def _reflected_shifts(size: int, radius: int, device: torch.device) -> Tensor:
    """Return (radius + 1, size, size): matrix t moves a row of pixels by t both ways and adds.

    Beyond its ends a row goes on as in a mirror that stands on its last pixel.
    """
    steps = torch.arange(-radius, radius + 1, device=device)
    pixel = torch.arange(size, device=device)
    source = (pixel[:, None] + steps).abs()  # (size, steps)
    source = size - 1 - (size - 1 - source).abs()
    shifts = torch.zeros(radius + 1, size, size, device=device)
    one = torch.ones((), device=device)
    return shifts.index_put_((steps.abs(), pixel[:, None], source), one, accumulate=True)


def gaussian_blur(images: Tensor, sigma: Tensor, *, kernel: int) -> Tensor:
    """Blur each picture by its own Gaussian, mirrored at the borders.

    A blur is linear, rows and columns apart: the same matrix from both sides.

    Args:
        images: (B, 3, S, S).
        sigma: (B,) standard deviation in pixels; 0 changes nothing.
        kernel: side of the kernel, odd and at most 2S - 1.

    Returns:
        (B, 3, S, S).

    Raises:
        ValueError: the kernel is even or too large, or the pictures are not square.
    """
    size = images.shape[-1]
    if images.shape[-2] != size or kernel % 2 == 0 or not 0 < kernel < 2 * size:
        raise ValueError(
            f"kernel must be odd and at most 2S - 1 for (B, 3, S, S) images, "
            f"got {kernel} for {tuple(images.shape)}"
        )
    if not len(images):
        return images.clone()
    radius = kernel // 2
    steps = torch.arange(radius + 1, device=images.device)
    taps = torch.exp(-0.5 * (steps / sigma.clamp(min=1e-6)[:, None]).square())  # (B, radius + 1)
    taps = taps / (2 * taps.sum(1, keepdim=True) - 1)  # all but the middle one come twice
    shifts = _reflected_shifts(size, radius, images.device)
    matrix = (taps @ shifts.flatten(1)).view(-1, size, size)
    blurred = _from_both_sides(matrix, images, matrix)
    return torch.lerp(images, blurred, _each((sigma > 0).float()))


def solarise(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert what is at least as bright as each picture's threshold, (B,); above 1 is nothing."""
    bright = (images >= _each(threshold)).float()
    return torch.lerp(images, 1 - images, bright)
