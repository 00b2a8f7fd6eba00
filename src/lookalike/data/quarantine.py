"""Images that cannot be read: counted, listed, and too many of them are an error."""

from __future__ import annotations

import csv
import hashlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.data.decode import MAX_PIXELS, UnreadableImage, decode, measure
from lookalike.data.image_set import ImageSet, Unreadable
from lookalike.data.threads import map_in_order
from lookalike.errors import DataError
from lookalike.names import to_cells

__all__ = ["Progress", "Quarantine", "Survey", "Unreadable", "survey"]

Progress = Callable[[int, int], None]
"""Told after each image: how many are done, of how many."""


class Quarantine:
    """The images of a set that could not be read.

    Args:
        total: how many images the set has.
        ignored: what lies among them and is no image; it is listed, but does not count.
    """

    def __init__(self, total: int, ignored: Iterable[Unreadable] = ()) -> None:
        self.total = total
        self._ignored = tuple(ignored)
        self._reasons: dict[str, str] = {}

    def __len__(self) -> int:
        """Return how many images could not be read."""
        return len(self._reasons)

    def __iter__(self) -> Iterator[Unreadable]:
        """Yield them in the order of their ids."""
        return (Unreadable(name, reason) for name, reason in sorted(self._reasons.items()))

    def add(self, id: str, reason: str) -> None:
        """Note an image; noting it again changes nothing."""
        self._reasons.setdefault(id, reason)

    @property
    def share(self) -> float:
        """What part of the images could not be read, in [0, 1]."""
        return len(self) / max(1, self.total)

    def write_csv(self, path: str | Path) -> None:
        """Write columns id and reason: the unreadable, then what was ignored.

        The file is replaced as a whole, so it can be written again and again.
        """
        unfinished = Path(f"{path}.part")
        with open(unfinished, "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(Unreadable._fields)
            rows.writerows(to_cells(one) for one in self)
            rows.writerows(to_cells((one.id, f"ignored: {one.reason}")) for one in self._ignored)
        os.replace(unfinished, path)

    def raise_if_above(self, max_share: float = 0.01) -> None:
        """Raise DataError if more than this share of the images could not be read."""
        if self.share > max_share:
            first = next(iter(self))
            raise DataError(
                f"{len(self):,} of {self.total:,} images cannot be read ({self.share:.1%}, allowed "
                f"are {max_share:.1%}), for example {first}\n"
                "fix: mend or remove them, or allow more with --max-unreadable; `lookalike check` "
                "lists them all"
            )


@dataclass(frozen=True)
class Survey:
    """What a look at every image of a set found.

    Args:
        count: N images.
        positions: (R,) of those that can be read.
        sizes: (R, 2) their heights and widths in pixels.
        formats: how many there are of each format.
        classes: how many there are of each class; those of unknown class are left out.
        copies: ids of images that are the same byte for byte, a group each, in order; none if
            only headers were read.
        unreadable: what cannot be read, and why.
        ignored: what lies among the images and is none.
        seconds: how long it took.
    """

    count: int
    positions: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    formats: dict[str, int]
    classes: dict[str, int]
    copies: tuple[tuple[str, ...], ...]
    unreadable: tuple[Unreadable, ...]
    ignored: tuple[Unreadable, ...]
    seconds: float


def survey(
    images: ImageSet,
    *,
    decode_all: bool = True,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Survey:
    """Look at every image of a set.

    Args:
        images: the set.
        decode_all: decode each image; otherwise only its header is read, and damage behind it is
            not seen.
        max_pixels: larger images count as unreadable.
        progress: told after each image.
    """
    began = time.monotonic()
    look = partial(_look, images, decode_all=decode_all, max_pixels=max_pixels)
    positions: list[int] = []
    sizes: list[tuple[int, int]] = []
    formats: Counter[str] = Counter()
    same: defaultdict[bytes, list[str]] = defaultdict(list)
    unreadable: list[Unreadable] = []
    for position, seen in enumerate(map_in_order(look, range(len(images)))):
        if isinstance(seen, Unreadable):
            unreadable.append(seen)
        else:
            positions.append(position)
            sizes.append(seen.size)
            formats[seen.format] += 1
            if seen.digest:
                same[seen.digest].append(images.ids[position])
        if progress:
            progress(position + 1, len(images))
    readable = np.array(positions, dtype=np.int64)
    labels = images.labels[readable]
    counts = np.bincount(labels[labels >= 0], minlength=len(images.class_names))
    return Survey(
        count=len(images),
        positions=readable,
        sizes=np.array(sizes, dtype=np.int64).reshape(-1, 2),
        formats=dict(formats.most_common()),
        classes=dict(zip(images.class_names, counts.tolist(), strict=True)),
        copies=tuple(tuple(group) for group in same.values() if len(group) > 1),
        unreadable=tuple(unreadable),
        ignored=images.ignored,
        seconds=time.monotonic() - began,
    )


class _Seen(NamedTuple):
    """What one image turned out to be."""

    size: tuple[int, int]  # height, width
    format: str
    digest: bytes  # none if only the header was read


def _look(
    images: ImageSet, position: int, *, decode_all: bool, max_pixels: int
) -> _Seen | Unreadable:
    try:
        if not decode_all:
            width, height, kind = images.measure(position, max_pixels=max_pixels)
            return _Seen((height, width), kind, b"")
        raw = images.read(position)
        kind = measure(raw, max_pixels=max_pixels).format
        height, width = decode(raw, max_pixels=max_pixels).shape[:2]
    except UnreadableImage as problem:
        return Unreadable(images.ids[position], problem.reason)
    if isinstance(raw, np.ndarray):
        raw = f"{raw.shape}".encode() + raw.tobytes()
    return _Seen((height, width), kind, hashlib.sha256(raw).digest())
