"""One patch of each image, where something is to be seen: drawn by the energy of its gradients.

Dosovitskiy et al. 2014, arXiv:1406.6909, section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from lookalike.data.decode import MAX_PIXELS, Pixels, UnreadableImage, decode, shrink
from lookalike.data.image_set import ImageSet
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.resident import Resident
from lookalike.data.threads import map_in_order
from lookalike.randomness import uniforms

CONTEXT = 3
"""Sides of a patch that an image's shorter side has at most: the paper cuts 32 px out of 96."""

_STREAM = 2**33  # of the random numbers: none that views use
_STEPS = 2**24  # of a draw in [0, 1)


def patch_energies(image: Pixels, size: int) -> npt.NDArray[np.int64]:
    """Return the squared gradient of every patch of an image, summed over the patch.

    A gradient is the difference of two neighbours; it counts where the patch holds both.

    Args:
        image: (H, W, 3).
        size: S, side of a patch, at most H and W.

    Returns:
        (H - S + 1, W - S + 1), by the patch's top and left; exact.
    """
    colours = image.astype(np.int64)
    down = np.square(np.diff(colours, axis=0)).sum(2)  # (H - 1, W)
    across = np.square(np.diff(colours, axis=1)).sum(2)  # (H, W - 1)
    return _box_sums(down, size - 1, size) + _box_sums(across, size, size - 1)


def _box_sums(values: npt.NDArray[np.int64], height: int, width: int) -> npt.NDArray[np.int64]:
    """Return the sum over every box of this size: (H, W) -> (H - height + 1, W - width + 1)."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    rows = sums[height:] - sums[: len(sums) - height]
    boxes: npt.NDArray[np.int64] = rows[:, width:] - rows[:, : rows.shape[1] - width]
    return boxes


def draw_corner(energies: npt.NDArray[np.int64], draw: float) -> tuple[int, int]:
    """Return the top and left of a patch, as likely as it has energy; of none, the middle.

    Args:
        energies: (T, L), at least 0, of every patch.
        draw: uniform on the multiples of 2**-24 in [0, 1).
    """
    heights, widths = energies.shape
    below = energies.ravel().cumsum()
    total = int(below[-1])
    if total == 0:
        return (heights - 1) // 2, (widths - 1) // 2
    mark = int(draw * _STEPS) * total // _STEPS  # whole numbers: in [0, total), without rounding
    place = int(np.searchsorted(below, mark, side="right"))
    return place // widths, place % widths


def cut_patch(image: Pixels, size: int, draw: float) -> Pixels:
    """Return a square patch of an image, or all of an image that is not larger.

    An image whose shorter side has more than `CONTEXT` sides of the patch is shrunk to that first:
    a patch of a photo shows a part of a thing, not the grain of a surface.

    Args:
        image: (H, W, 3).
        size: side of the patch; that of a narrower image is its shorter side.
        draw: see `draw_corner`.

    Returns:
        (S, S, 3), or the image.
    """
    image = shrink(image, CONTEXT * size)
    height, width = image.shape[:2]
    if max(height, width) <= size:
        return image
    side = min(size, height, width)
    top, left = draw_corner(patch_energies(image, side), draw)
    return image[top : top + side, left : left + side]


def resident_patches(images: Resident, size: int, *, seed: int) -> Resident:
    """Return a patch of each of some images in memory.

    Args:
        images: the images.
        size: side of a patch in pixels.
        seed: of the draws; each depends on it and on the image's position alone.
    """
    whole = (
        pixels[:, :height, :width].transpose(1, 2, 0)
        for pixels, (height, width) in zip(images.pixels, images.sizes.tolist(), strict=True)
    )
    draws = _draws(images.positions, seed)
    patches = (cut_patch(image, size, draw) for image, draw in zip(whole, draws, strict=True))
    return _stacked(zip(images.positions.tolist(), patches, strict=True), len(images.pixels), size)


def load_patches(
    images: ImageSet,
    positions: npt.NDArray[np.int64],
    size: int,
    *,
    seed: int,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
    quarantine: Quarantine | None = None,
) -> Resident:
    """Decode images one after another and keep a patch of each.

    Args:
        images: the set.
        positions: (N,) of the images wanted.
        size: side of a patch in pixels.
        seed: as for `resident_patches`, which gives the same patches but for what a JPEG loses
            when it is decoded at a fraction of its scale.
        max_pixels: larger images count as unreadable.
        progress: told after each image.
        quarantine: takes note of what cannot be read; that is left out of the result.
    """

    def attempt(numbered: tuple[int, float]) -> Pixels | str:
        position, draw = numbered
        try:
            image = read(images.read(position))
        except UnreadableImage as problem:
            return problem.reason
        return cut_patch(image, size, draw)

    def readable() -> Iterator[tuple[int, Pixels]]:
        wanted = list(zip(positions.tolist(), _draws(positions, seed), strict=True))
        for done, made in enumerate(map_in_order(attempt, wanted), start=1):
            position = wanted[done - 1][0]
            if not isinstance(made, str):
                yield position, made
            elif quarantine is not None:
                quarantine.add(images.ids[position], made)
            if progress is not None:
                progress(done, len(wanted))

    read = partial(decode, max_pixels=max_pixels, at_least=CONTEXT * size)
    return _stacked(readable(), len(positions), size)


def _draws(positions: npt.NDArray[np.int64], seed: int) -> list[float]:
    index = torch.from_numpy(np.ascontiguousarray(positions))
    draws: list[float] = uniforms(1, seed=seed, epoch=0, index=index, stream=_STREAM)[:, 0].tolist()
    return draws


def _stacked(patches: Iterable[tuple[int, Pixels]], count: int, size: int) -> Resident:
    """Lay patches, each with its image's position, in the corners of canvases."""
    pixels = np.zeros((count, 3, size, size), dtype=np.uint8)
    sizes = np.zeros((count, 2), dtype=np.int64)
    positions: list[int] = []
    for position, patch in patches:
        row, (height, width) = len(positions), patch.shape[:2]
        pixels[row, :, :height, :width] = patch.transpose(2, 0, 1)
        sizes[row] = height, width
        positions.append(position)
    kept = len(positions)
    return Resident(pixels[:kept], sizes[:kept], np.array(positions, dtype=np.int64))
