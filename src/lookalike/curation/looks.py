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

EVEN = 6.0  # grey values, of 255, that a plain row's may vary by


class Sight(NamedTuple):
    """How one image looks.

    grey: (64, 64) uint8, the whole of it, its proportions not kept.
    inner: what is left of it when plain edges are taken off; None where it has none.
    colours: (4,) float32 in [0, 1]: mean red, green and blue, and the mean of how far they are
        apart.
    """

    grey: Pixels
    inner: Pixels | None
    colours: npt.NDArray[np.float32]


class Looks(NamedTuple):
    """How N images look.

    grey: (N, 64, 64) uint8, the whole of each image, its proportions not kept.
    inner: (F, 64, 64) uint8, what is left of some when plain edges are taken off.
    framed: (F,) int64, which of the N these are, rising.
    colours: (N, 4) float32, as of each `Sight`.
    digests: N sha256 of the files, or of the pixels where there are none.
    sizes: (N, 2) int64, upright heights and widths in pixels.
    bytes: (N,) int64, of the files.
    positions: (N,) int64, where each image was in its set.
    """

    grey: Pixels
    inner: Pixels
    framed: npt.NDArray[np.int64]
    colours: npt.NDArray[np.float32]
    digests: tuple[bytes, ...]
    sizes: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]

    def select(self, places: npt.NDArray[np.int64]) -> Looks:
        """Return how some of the images look, in this order, none of them twice."""
        where = {place: at for at, place in enumerate(self.framed.tolist())}
        chosen = [(at, where[place]) for at, place in enumerate(places.tolist()) if place in where]
        return Looks(
            self.grey[places],
            self.inner[[at for _, at in chosen]],
            np.array([at for at, _ in chosen], dtype=np.int64),
            self.colours[places],
            tuple(self.digests[place] for place in places.tolist()),
            self.sizes[places],
            self.bytes[places],
            self.positions[places],
        )


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
    inner: list[Pixels] = []
    framed: list[int] = []
    colours: list[npt.NDArray[np.float32]] = []
    rows: list[tuple[bytes, tuple[int, int], int]] = []
    positions: list[int] = []
    look = partial(_look, images, max_pixels=max_pixels)
    for position, seen in enumerate(map_in_order(look, range(len(images)))):
        if isinstance(seen, str):
            if quarantine is not None:
                quarantine.add(images.ids[position], seen)
        else:
            sight, digest, size, length = seen
            grey[len(positions)] = sight.grey
            colours.append(sight.colours)
            if sight.inner is not None:
                inner.append(sight.inner)
                framed.append(len(positions))
            rows.append((digest, size, length))
            positions.append(position)
        if progress is not None:
            progress(position + 1, len(images))
    return Looks(
        grey[: len(positions)],
        np.array(inner, dtype=np.uint8).reshape(-1, SIDE, SIDE),
        np.array(framed, dtype=np.int64),
        np.array(colours, dtype=np.float32).reshape(-1, 4),
        tuple(digest for digest, _, _ in rows),
        np.array([size for _, size, _ in rows], dtype=np.int64).reshape(-1, 2),
        np.array([length for _, _, length in rows], dtype=np.int64),
        np.array(positions, dtype=np.int64),
    )


def see(image: Pixels) -> Sight:
    """Return an (H, W, 3) image as small pictures."""
    whole = Image.fromarray(image)
    grey = whole.convert("L")
    box = _inside(np.asarray(grey, dtype=np.float32))
    inner = None if box is None else _small(grey.crop(box))
    few = np.asarray(whole.resize((16, 16), Image.Resampling.BOX), dtype=np.float32) / 255
    apart = (few.max(axis=2) - few.min(axis=2)).mean()
    return Sight(_small(grey), inner, np.array([*few.mean(axis=(0, 1)), apart], dtype=np.float32))


def look_through(sights: Iterable[Sight]) -> Looks:
    """Return how images look that are no files; their digests are empty, their sizes 0."""
    seen = list(sights)
    inner = [(at, each.inner) for at, each in enumerate(seen) if each.inner is not None]
    return Looks(
        np.array([each.grey for each in seen], dtype=np.uint8).reshape(-1, SIDE, SIDE),
        np.array([each for _, each in inner], dtype=np.uint8).reshape(-1, SIDE, SIDE),
        np.array([at for at, _ in inner], dtype=np.int64),
        np.array([each.colours for each in seen], dtype=np.float32).reshape(-1, 4),
        (b"",) * len(seen),
        np.zeros((len(seen), 2), dtype=np.int64),
        np.zeros(len(seen), dtype=np.int64),
        np.arange(len(seen)),
    )


def grey_picture(image: Pixels) -> Pixels:
    """Return an (H, W, 3) image as (64, 64) grey values, antialiased."""
    return _small(Image.fromarray(image).convert("L"))


def sharpness(images: ImageSet, positions: Iterable[int], *, max_pixels: int) -> list[float]:
    """Return how strongly neighbouring pixels differ in each image, 0 where it cannot be read.

    It is the variance of the discrete Laplacian of the grey values in full size, so it compares
    images of one size that show the same.
    """
    return list(map_in_order(partial(_sharpness, images, max_pixels=max_pixels), list(positions)))


def _look(
    images: ImageSet, position: int, *, max_pixels: int
) -> tuple[Sight, bytes, tuple[int, int], int] | str:
    """Return an image's small pictures, digest, size and bytes, or why it cannot be read."""
    try:
        raw = images.read(position)
        header = measure(raw, max_pixels=max_pixels)
        # at twice the side, so that how far a JPEG is reduced as it is decoded does not show
        sight = see(decode(raw, max_pixels=max_pixels, at_least=2 * SIDE))
    except UnreadableImage as problem:
        return problem.reason
    content = f"{raw.shape}".encode() + raw.tobytes() if isinstance(raw, np.ndarray) else raw
    size = (header.height, header.width)
    return sight, hashlib.sha256(content).digest(), size, len(content)


def _small(grey: Image.Image) -> Pixels:
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _inside(grey: npt.NDArray[np.float32]) -> tuple[int, int, int, int] | None:
    """Return the box that plain edges leave of (H, W) grey values; None if they leave all.

    An edge is plain as far as its rows, or columns, hardly vary and are of one brightness. Where
    that would leave less than a quarter of a side, the image is a plain one, and stays whole.
    """
    height, width = grey.shape
    top, bottom = _plain(grey)
    if top + bottom > 0.75 * height:
        return None
    left, right = _plain(grey[top : height - bottom].T)
    if left + right > 0.75 * width or top + bottom + left + right == 0:
        return None
    return left, top, width - right, height - bottom


def _plain(grey: npt.NDArray[np.float32]) -> tuple[int, int]:
    """Return how many of the first and of the last rows are plain."""
    means = grey.mean(axis=1)
    flat = grey.std(axis=1) < EVEN
    counts = []
    for rows, level in ((slice(None), means[0]), (slice(None, None, -1), means[-1])):
        plain = flat[rows] & (np.abs(means[rows] - level) < 2 * EVEN)
        counts.append(len(plain) if plain.all() else int(plain.argmin()))
    return counts[0], counts[1]


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
