"""Views in batch, on the device of the images: each image's own draws, the same wherever it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from lookalike.randomness import uniforms
from lookalike.views import affine, ops, tone
from lookalike.views.plans import Plan, View

_ATTEMPTS = 10  # crops tried before the central one, as in torchvision's RandomResizedCrop
_MORE = 2**32  # streams of the changes that came later: those before keep their draws
_CACHED_PIXELS = 2**16  # pictures that a CPU's cache holds while all their changes are made


def crop_boxes(
    view: View, sizes: Tensor, *, seed: int, epoch: int, index: Tensor, number: int | Tensor
) -> Tensor:
    """Draw where each image is cropped: torchvision's RandomResizedCrop, all attempts at once.

    Args:
        view: what may be drawn.
        sizes: (B, 2) int64, each image's height and width, at least 1.
        seed: of the run, in [0, 2**63).
        epoch: at least 0.
        index: (B,) int64, each image's position in its data set.
        number: which of a plan's views this is, from 0; one for all or (B,) int64.

    Returns:
        (B, 4) int64: top, left, height, width, inside the image.

    Raises:
        ValueError: sizes are not (B, 2).
    """
    if sizes.shape != (len(index), 2):
        raise ValueError(f"sizes must be ({len(index)}, 2), got {tuple(sizes.shape)}")
    draws = uniforms(2 * _ATTEMPTS + 2, seed=seed, epoch=epoch, index=index, stream=2 * number)
    draws = draws.double()  # so that rounding to pixels comes out alike on all devices
    height, width = sizes.double()[:, :, None].unbind(1)  # (B, 1) each
    area = _between(view.area, draws[:, :_ATTEMPTS]) * (height * width)  # (B, attempts)
    ratio = _between([math.log(end) for end in view.ratio], draws[:, _ATTEMPTS:-2]).exp()
    tall = (area / ratio).sqrt().round()
    wide = (area * ratio).sqrt().round()
    fits = (tall >= 1) & (tall <= height) & (wide >= 1) & (wide <= width)
    fits &= view.area[0] < 1  # else rounding alone would say which pixels are left out
    # One attempt more, which always fits: the largest central crop of an allowed ratio.
    narrowest, widest = view.ratio
    tall = torch.cat([tall, (width / narrowest).round().clamp(min=1).minimum(height)], dim=1)
    wide = torch.cat([wide, (height * widest).round().clamp(min=1).minimum(width)], dim=1)
    fits = torch.cat([fits, torch.ones_like(fits[:, :1])], dim=1)
    chosen = fits.byte().argmax(dim=1, keepdim=True)  # (B, 1) the first that fits
    sides = torch.cat([tall.gather(1, chosen), wide.gather(1, chosen)], dim=1)  # (B, 2)
    slack = sizes - sides
    corner = torch.where(chosen == _ATTEMPTS, slack / 2, draws[:, -2:] * (slack + 1)).floor()
    return torch.cat([corner, sides], dim=1).long()


@torch.no_grad()
def make_views(
    plan: Plan,
    images: Tensor,
    sizes: Tensor,
    index: Tensor,
    *,
    size: int,
    seed: int,
    epoch: int,
    mean: Sequence[float] | Tensor | None = None,
    std: Sequence[float] | Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Make all views of a batch of whole images, each drawn from (seed, epoch, index, view) alone.

    In this order: crop, flip, warp, jitter, principal colours, tone, hue, greyscale, blur,
    solarise, normalise.

    Args:
        plan: the views to make.
        images: (B, 3, H, W) uint8, each in the upper left of its canvas.
        sizes: (B, 2) int64, each image's height and width on it.
        index: (B,) int64, each image's position in its data set.
        size: S, side of a view.
        seed: of the run, in [0, 2**63).
        epoch: at least 0.
        mean: of the data set's three channels in [0, 1]; needed where the plan normalises.
        std: likewise.

    Returns:
        One (B, 3, S, S) float32 a view, in [0, 1] before the plan's normalisation.

    Raises:
        ValueError: shapes do not fit, images are not uint8, or mean or std is missing.
    """
    _check_pixels((len(index), 3, *images.shape[-2:]), images=images)
    if sizes.shape != (len(index), 2):
        raise ValueError(f"sizes must be ({len(index)}, 2), got {tuple(sizes.shape)}")
    last = _last_step(plan, mean, std)

    def make(view: View, numbers: list[int], index: Tensor, number: Tensor) -> Tensor:
        every = sizes.repeat(len(numbers), 1)
        look = _draw_look(view, every, seed=seed, epoch=epoch, index=index, number=number)
        return _make_pictures(view, look, images, size=size, last=last)

    return _make_alike_together(plan, index, make)


@torch.no_grad()
def finish_views(
    plan: Plan,
    crops: Tensor,
    index: Tensor,
    *,
    seed: int,
    epoch: int,
    mean: Sequence[float] | Tensor | None = None,
    std: Sequence[float] | Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Make the views of a batch whose crops, by `crop_boxes`, were cut and resized elsewhere.

    Args:
        plan: the views to make.
        crops: (B, V, 3, S, S) uint8, one crop a view.
        index: (B,) int64, each image's position in its data set.
        seed: as the crops', like the epoch.
        epoch: at least 0.
        mean: of the data set's three channels in [0, 1]; needed where the plan normalises.
        std: likewise.

    Returns:
        What `make_views` returns, but for the crops' rounding to 8 bits.

    Raises:
        ValueError: as `make_views`.
    """
    side = crops.shape[-1]
    _check_pixels((len(index), len(plan.views), 3, side, side), crops=crops)
    last = _last_step(plan, mean, std)

    def make(view: View, numbers: list[int], index: Tensor, number: Tensor) -> Tensor:
        pixels = torch.cat([crops[:, number] for number in numbers])
        look = _draw_look(view, None, seed=seed, epoch=epoch, index=index, number=number)
        return _make_pictures(view, look, pixels, size=side, last=last)

    return _make_alike_together(plan, index, make)


def normalise(
    images: Tensor, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor
) -> Tensor:
    """Take out the mean and the standard deviation of each channel.

    Args:
        images: (B, 3, H, W), uint8, or float in [0, 1].
        mean: three numbers, of pixels in [0, 1].
        std: three numbers above 0, likewise.

    Returns:
        (B, 3, H, W) float32.
    """
    if images.dtype == torch.uint8:
        images = images / 255
    mean, std = (
        torch.as_tensor(channel, dtype=torch.float32, device=images.device).view(3, 1, 1)
        for channel in (mean, std)
    )
    return (images - mean).div_(std)


class _Look(NamedTuple):
    """How each picture of a view is made of its image; amounts are as in `ops`."""

    box: Tensor | None  # (B, 4), or none where the images are crops already
    mirrored: Tensor  # (B,) bool
    jittered: Tensor  # (B,) bool
    factors: Tensor  # (B, 4)
    order: Tensor  # (B, 4)
    grey: Tensor  # (B,) bool
    sigma: Tensor  # (B,), 0 where there is no blur
    threshold: Tensor  # (B,), above 1 where nothing is solarised
    warp: Tensor  # (B, 4) shift right and down, scale, angle; (B, 0) where the view has none
    tint: Tensor  # (B, 10) principal factors, power, factor and shift of the tone, turn; or (B, 0)

    def of(self, rows: Tensor) -> _Look:
        """Return the look of some pictures."""
        box = None if self.box is None else self.box[rows]
        return _Look(box, *(part[rows] for part in self[1:]))


def _draw_look(
    view: View,
    sizes: Tensor | None,
    *,
    seed: int,
    epoch: int,
    index: Tensor,
    number: int | Tensor,
) -> _Look:
    """Draw all that is random about a view; without sizes all but the crop."""
    box = None
    if sizes is not None:
        box = crop_boxes(view, sizes, seed=seed, epoch=epoch, index=index, number=number)
    draws = uniforms(14, seed=seed, epoch=epoch, index=index, stream=2 * number + 1)
    flip, jitter, grey, blur, sigma, solarise, *amounts = draws[:, :10].unbind(1)
    warp, tint = _draw_more(view, seed=seed, epoch=epoch, index=index, number=number)
    ranges = [(max(0.0, 1 - strength), 1 + strength) for strength in view.jitter[:3]]
    ranges.append((-view.jitter[3], view.jitter[3]))
    factors = [_between(ends, amount) for ends, amount in zip(ranges, amounts, strict=True)]
    return _Look(
        box=box,
        mirrored=flip < view.flip,
        jittered=jitter < (view.jitter_probability if any(view.jitter) else 0.0),
        factors=torch.stack(factors, dim=1),
        order=draws[:, 10:].argsort(dim=1, stable=True),
        grey=grey < view.grey,
        sigma=torch.where(blur < view.blur, _between(view.blur_sigma, sigma), 0.0),
        threshold=torch.where(solarise < view.solarise, view.solarise_threshold, 2.0),
        warp=warp,
        tint=tint,
    )


def _draw_more(
    view: View, *, seed: int, epoch: int, index: Tensor, number: int | Tensor
) -> tuple[Tensor, Tensor]:
    """Draw warp and tint, as `_Look` has them; nothing for a view that has neither."""
    if not (view.warps or view.tints):
        return (torch.empty(len(index), 0, device=index.device),) * 2
    draws = uniforms(15, seed=seed, epoch=epoch, index=index, stream=_MORE + number)
    chosen = draws[:, :1] < view.tone  # (B, 1)
    turn = math.radians(view.rotation)
    warp = [
        _between((-view.translation, view.translation), draws[:, 1:3]),
        _between([math.log(end) for end in view.scale], draws[:, 3:4]).exp(),
        _between((-turn, turn), draws[:, 4:5]),
    ]
    powers = _between([math.log(end) for end in view.tone_power], draws[:, 8:10]).exp()
    factors = _between([math.log(end) for end in view.tone_factor], draws[:, 10:12]).exp()
    shifts = _between((-view.tone_shift, view.tone_shift), draws[:, 12:14])
    tint = [
        _between([math.log(end) for end in view.principal], draws[:, 5:8]).exp(),
        torch.where(chosen, powers, 1.0),
        torch.where(chosen, factors, 1.0),
        torch.where(chosen, shifts, 0.0),
        _between((-view.hue_shift, view.hue_shift), draws[:, 14:15]),
    ]
    return torch.cat(warp, dim=1), torch.cat(tint, dim=1)


def _between(ends: Sequence[float], draws: Tensor) -> Tensor:
    """Stretch draws from [0, 1) to between two ends."""
    low, high = ends
    return low + (high - low) * draws


def _last_step(
    plan: Plan, mean: Sequence[float] | Tensor | None, std: Sequence[float] | Tensor | None
) -> Callable[[Tensor], Tensor]:
    """Return the plan's normalisation."""
    if not plan.normalise:
        return lambda images: images
    if mean is None or std is None:
        raise ValueError(f"the plan {plan.name} normalises, so it needs mean and std, got None")
    return partial(normalise, mean=mean, std=std)


def _check_pixels(shape: tuple[int, ...], **pixels: Tensor) -> None:
    """Raise ValueError unless the pixels have this shape and are uint8."""
    for name, tensor in pixels.items():
        if tensor.shape != shape or tensor.dtype != torch.uint8:
            raise ValueError(
                f"{name} must be {shape} uint8, got {tuple(tensor.shape)} {tensor.dtype}"
            )


def _make_alike_together(
    plan: Plan, index: Tensor, make: Callable[[View, list[int], Tensor, Tensor], Tensor]
) -> tuple[Tensor, ...]:
    """Make the plan's views, those with one recipe as one batch.

    Args:
        plan: V views.
        index: (B,) int64.
        make: takes a recipe, the numbers of the n views that follow it, and index and number of
            each of their pictures, (n * B,); returns these pictures, (n * B, 3, S, S).

    Returns:
        V times (B, 3, S, S).
    """
    views: dict[int, Tensor] = {}
    for view in dict.fromkeys(plan.views):
        numbers = [number for number, other in enumerate(plan.views) if other == view]
        number = torch.cat([torch.full_like(index, number) for number in numbers])
        pictures = make(view, numbers, index.repeat(len(numbers)), number)
        views.update(zip(numbers, pictures.chunk(len(numbers)), strict=True))
    return tuple(views[number] for number in range(len(plan.views)))


# A graph without branches suits a GPU, where all pictures go through every change at once and
# neutral amounts leave some as they are. A CPU would rather change only what is to be changed, and
# keep a few pictures in its cache until they are done; there, looking at a value costs nothing.


def _branches(images: Tensor) -> bool:
    """Whether values may decide what is computed."""
    return images.device.type == "cpu" and not torch.compiler.is_compiling()


def _make_pictures(
    view: View, look: _Look, images: Tensor, *, size: int, last: Callable[[Tensor], Tensor]
) -> Tensor:
    """Make P pictures of B images; picture i is made of image i modulo B.

    Args:
        view: the recipe.
        look: of the P pictures.
        images: (B, 3, H, W) uint8.
        size: S.
        last: what is done in the end.

    Returns:
        (P, 3, S, S) float32.
    """
    count = len(look.grey)
    with torch.autocast(images.device.type, enabled=False):  # 8 bits of colour need float32
        if not _branches(images):
            images = images.repeat(count // max(1, len(images)), 1, 1, 1)
            pictures = _cut(view, look, images, size)
            if any(view.jitter):
                pictures = ops.colour_jitter(
                    pictures, look.factors, look.order, chosen=look.jittered
                )
            return last(_finish(view, look, pictures))
        made = torch.empty(count, 3, size, size)
        for hue_place, rows in _cachefuls(look, most=max(1, _CACHED_PIXELS // size**2)):
            some = look.of(rows)
            pictures = _cut(view, some, images.index_select(0, rows % len(images)), size)
            if hue_place is not None:
                pictures = ops.colour_jitter(
                    pictures, some.factors, some.order, hue_place=hue_place
                )
            made.index_copy_(0, rows, last(_finish(view, some, pictures)))
        return made


def _cachefuls(look: _Look, *, most: int) -> Iterator[tuple[int | None, Tensor]]:
    """Yield rows, at most so many at a time, with one place of the hue, or none, in common."""
    place = torch.where(look.jittered, look.order[:, 3], -1)
    for hue_place in range(-1, 4):
        rows = (place == hue_place).nonzero()[:, 0]
        if len(rows):
            for some in rows.tensor_split(math.ceil(len(rows) / most)):
                yield None if hue_place < 0 else hue_place, some


def _cut(view: View, look: _Look, images: Tensor, size: int) -> Tensor:
    """Crop, resize, flip and warp."""
    if look.box is None:
        pictures = ops.flip(images / 255, look.mirrored)
    else:
        pictures = ops.resized_crop(
            images, look.box, size=size, interpolation=view.interpolation, mirrored=look.mirrored
        )
    if view.warps:
        pictures = affine.warp(pictures, look.warp[:, :2], look.warp[:, 2], look.warp[:, 3])
    return pictures


def _finish(view: View, look: _Look, pictures: Tensor) -> Tensor:
    """Do what comes after the jitter, leaving out what the view never does."""
    if view.tints:
        tint = look.tint
        if view.principal != (1.0, 1.0):
            pictures = tone.stretch_principal(pictures, tint[:, :3])
        if view.tone:
            pictures = tone.change_tone(pictures, tint[:, 3:5], tint[:, 5:7], tint[:, 7:9])
        if view.hue_shift:
            pictures = ops.shift_hue(pictures, tint[:, 9])
    if view.grey:
        pictures = ops.greyscale(pictures, look.grey)
    if view.blur:
        kernel = max(3, int(view.blur_kernel * pictures.shape[-1]) // 2 * 2 + 1)  # odd
        blur = partial(ops.gaussian_blur, kernel=kernel)
        pictures = _where(look.sigma > 0, blur, pictures, look.sigma)
    if view.solarise:
        pictures = _where(look.threshold <= 1, ops.solarise, pictures, look.threshold)
    return pictures


def _where(
    chosen: Tensor, change: Callable[[Tensor, Tensor], Tensor], pictures: Tensor, amounts: Tensor
) -> Tensor:
    """Change the chosen pictures; the amounts of the others are neutral."""
    if not _branches(pictures):
        return change(pictures, amounts)
    rows = chosen.nonzero()[:, 0]
    if len(rows):
        pictures.index_copy_(0, rows, change(pictures.index_select(0, rows), amounts[rows]))
    return pictures
