"""A small set of images, decoded once and held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.data.decode import (
    MAX_PIXELS,
    Pixels,
    Raw,
    UnreadableImage,
    centre_square,
    decode,
)
from lookalike.data.image_set import ImageSet
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.threads import map_in_order


class Resident(NamedTuple):
    """Decoded images, each in the top left corner of a canvas that holds the largest.

    pixels: (N, 3, H, W), 0 beyond an image.
    sizes: (N, 2) int64, each image's height and width.
    positions: (N,) int64, where each image was in its set.
    """

    pixels: Pixels
    sizes: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]


def resident_bytes(
    images: ImageSet, *, limit: int | None = None, max_pixels: int = MAX_PIXELS
) -> int:
    """Return how many bytes the canvas of a set takes, from the headers of its images.

    Args:
        images: the set.
        limit: once more than this is needed, look no further; so for large images the answer
            comes after a few of them.
        max_pixels: larger images are unreadable, and take none.

    Returns:
        the bytes, or any number above the limit.
    """
    tallest = widest = unreadable = 0
    for size in map_in_order(partial(_size, images, max_pixels=max_pixels), range(len(images))):
        if size is None:
            unreadable += 1
            continue
        tallest, widest = max(tallest, size[0]), max(widest, size[1])
        needed = 3 * tallest * widest * (len(images) - unreadable)
        if limit is not None and needed > limit:
            return needed
    return 3 * tallest * widest * (len(images) - unreadable)


def load_resident(
    images: ImageSet,
    *,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
    quarantine: Quarantine | None = None,
) -> Resident:
    """Decode all images of a set onto canvases of one size.

    Args:
        images: the set.
        max_pixels: larger images count as unreadable.
        progress: told after each image.
        quarantine: takes note of what cannot be read; that is left out of the result.
    """
    look = partial(_size, images, max_pixels=max_pixels)
    found = [size for size in map_in_order(look, range(len(images))) if size]
    tallest, widest = np.max(found, axis=0, initial=0) if found else (0, 0)
    pixels = np.zeros((len(images), 3, tallest, widest), dtype=np.uint8)
    sizes = np.zeros((len(images), 2), dtype=np.int64)
    positions: list[int] = []
    whole = partial(decode, max_pixels=max_pixels)
    for position, image in _readable(images, whole, progress, quarantine):
        height, width = image.shape[:2]
        if height > pixels.shape[2] or width > pixels.shape[3]:  # its header had not told all
            grow = (max(0, height - pixels.shape[2]), max(0, width - pixels.shape[3]))
            pixels = np.pad(pixels, ((0, 0), (0, 0), (0, grow[0]), (0, grow[1])))
        row = len(positions)
        pixels[row, :, :height, :width] = image.transpose(2, 0, 1)
        sizes[row] = height, width
        positions.append(position)
    count = len(positions)
    return Resident(pixels[:count], sizes[:count], np.array(positions, dtype=np.int64))


def load_squares(
    images: ImageSet,
    size: int,
    *,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
    quarantine: Quarantine | None = None,
) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Decode the centres of all images of a set: the pictures that evaluation looks at.

    Args:
        images: the set.
        size: side of a square in pixels.
        max_pixels: larger images count as unreadable.
        progress: told after each image.
        quarantine: takes note of what cannot be read; that is left out of the result.

    Returns:
        (R, 3, size, size), and (R,) where each image was in the set.
    """
    square = partial(_square, size=size, max_pixels=max_pixels)
    pixels = np.empty((len(images), 3, size, size), dtype=np.uint8)
    positions: list[int] = []
    for position, image in _readable(images, square, progress, quarantine):
        pixels[len(positions)] = image.transpose(2, 0, 1)
        positions.append(position)
    return pixels[: len(positions)], np.array(positions, dtype=np.int64)


def _size(images: ImageSet, position: int, *, max_pixels: int) -> tuple[int, int] | None:
    """Return the height and width that an image's header tells, None if it cannot be read."""
    try:
        header = images.measure(position, max_pixels=max_pixels)
    except UnreadableImage:
        return None
    return header.height, header.width


def _square(raw: Raw, *, size: int, max_pixels: int) -> Pixels:
    return centre_square(decode(raw, max_pixels=max_pixels, at_least=size), size)


def _readable(
    images: ImageSet,
    prepare: Callable[[Raw], Pixels],
    progress: Progress | None,
    quarantine: Quarantine | None,
) -> Iterator[tuple[int, Pixels]]:
    """Yield the position of each image that can be read, and what was made of it, (H, W, 3)."""

    def attempt(position: int) -> Pixels | str:
        try:
            return prepare(images.read(position))
        except UnreadableImage as problem:
            return problem.reason

    for position, made in enumerate(map_in_order(attempt, range(len(images)))):
        if not isinstance(made, str):
            yield position, made
        elif quarantine is not None:
            quarantine.add(images.ids[position], made)
        if progress is not None:
            progress(position + 1, len(images))
