"""How images look beside what an encoder says of them: small grey pictures, sizes, digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.data.decode import MAX_PIXELS, Pixels, UnreadableImage, decode, measure
from lookalike.data.image_set import ImageSet
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.threads import map_in_order

SIDE = 64  # of a grey picture: where copies and look-alikes part, and 4 kB an image


class Looks(NamedTuple):
    """How N images look.

    grey: (N, 64, 64) uint8, the whole of each image, its proportions not kept.
    digests: N sha256 of the files, or of the pixels where there are none.
    sizes: (N, 2) int64, upright heights and widths in pixels.
    bytes: (N,) int64, of the files.
    positions: (N,) int64, where each image was in its set.
    """

    grey: Pixels
    digests: tuple[bytes, ...]
    sizes: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]


def look_at(
    images: ImageSet,
    *,
    max_pixels: int = MAX_PIXELS,
    quarantine: Quarantine | None = None,
    progress: Progress | None = None,
) -> Looks:
    """Read every image of a set once.

    Args:
        images: the set.
        max_pixels: larger images count as unreadable.
        quarantine: takes note of what cannot be read; that is left out.
        progress: told after each image.
    """
    grey = np.empty((len(images), SIDE, SIDE), dtype=np.uint8)
    rows: list[tuple[bytes, tuple[int, int], int]] = []
    positions: list[int] = []
    look = partial(_look, images, max_pixels=max_pixels)
    for position, seen in enumerate(map_in_order(look, range(len(images)))):
        if isinstance(seen, str):
            if quarantine is not None:
                quarantine.add(images.ids[position], seen)
        else:
            picture, digest, size, length = seen
            grey[len(positions)] = picture
            rows.append((digest, size, length))
            positions.append(position)
        if progress is not None:
            progress(position + 1, len(images))
    return Looks(
        grey[: len(positions)],
        tuple(digest for digest, _, _ in rows),
        np.array([size for _, size, _ in rows], dtype=np.int64).reshape(-1, 2),
        np.array([length for _, _, length in rows], dtype=np.int64),
        np.array(positions, dtype=np.int64),
    )


def grey_picture(image: Pixels) -> Pixels:
    """Return an (H, W, 3) image as (64, 64) grey values, antialiased."""
    whole = Image.fromarray(image).convert("L")
    return np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def sharpness(images: ImageSet, positions: Iterable[int], *, max_pixels: int) -> list[float]:
    """Return how strongly neighbouring pixels differ in each image, 0 where it cannot be read.

    It is the variance of the discrete Laplacian of the grey values in full size, so it compares
    images of one size that show the same.
    """
    return list(map_in_order(partial(_sharpness, images, max_pixels=max_pixels), list(positions)))


def _look(
    images: ImageSet, position: int, *, max_pixels: int
) -> tuple[Pixels, bytes, tuple[int, int], int] | str:
    """Return an image's grey picture, digest, size and bytes, or why it cannot be read."""
    try:
        raw = images.read(position)
        header = measure(raw, max_pixels=max_pixels)
        # at twice the side, so that how far a JPEG is reduced as it is decoded does not show
        picture = grey_picture(decode(raw, max_pixels=max_pixels, at_least=2 * SIDE))
    except UnreadableImage as problem:
        return problem.reason
    content = f"{raw.shape}".encode() + raw.tobytes() if isinstance(raw, np.ndarray) else raw
    size = (header.height, header.width)
    return picture, hashlib.sha256(content).digest(), size, len(content)


def _sharpness(images: ImageSet, position: int, *, max_pixels: int) -> float:
    try:
        image = decode(images.read(position), max_pixels=max_pixels)
    except UnreadableImage:
        return 0.0
    grey = np.asarray(Image.fromarray(image).convert("L"), dtype=np.float32)
    if min(grey.shape) < 3:
        return 0.0
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((4 * grey[1:-1, 1:-1] - around).var())
