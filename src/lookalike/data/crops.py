"""The first random crop of large images, made where they are decoded: photos in, small crops out.

An image is decoded once for all its views, and no larger than its smallest crop needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike.data.decode import (
    Header,
    Pixels,
    Raw,
    UnreadableImage,
    crop_resize,
    decode,
    measure,
)
from lookalike.data.image_set import Reader
from lookalike.errors import DataError

Positions = npt.NDArray[np.int64]


class Boxes(Protocol):
    """Draws where images are cropped; can be pickled, and depends on its arguments alone."""

    def __call__(self, positions: Tensor, sizes: Tensor, number: int) -> Tensor:
        """Return (B, 4) int64 top, left, height and width.

        Args:
            positions: (B,) int64, the images' places in their set.
            sizes: (B, 2) int64, their heights and widths.
            number: which of the views of an image this is, from 0.
        """


class Unread(NamedTuple):
    """An image that could not be read when its turn came.

    position: its place in its set.
    reason: a few words on one line.
    """

    position: int
    reason: str


class _Opened(NamedTuple):
    """An image whose header has been read.

    wanted: the place in the set that was asked for.
    shown: the place of this image, which is another if that one cannot be read.
    """

    wanted: int
    shown: int
    raw: Raw
    header: Header


@dataclass(frozen=True)
class Cropper:
    """Makes batches of crops, the same ones in whichever process.

    In the place of an image that cannot be read comes the next one of the set that can. Its crops
    are drawn as those of the image it replaces, so they differ from its own.

    Args:
        reader: gives the bytes of images.
        keys: (N,) what the reader calls the images of the set.
        boxes: draws the crops.
        views: crops of each image.
        size: side of a crop in pixels.
        max_pixels: larger images count as unreadable.
    """

    reader: Reader
    keys: Positions
    boxes: Boxes
    views: int
    size: int
    max_pixels: int

    def cut(
        self, positions: Positions, out: Pixels, note: Callable[[int], None] = lambda row: None
    ) -> tuple[Positions, list[Unread]]:
        """Make one batch.

        Args:
            positions: (B,) the images wanted; N more, or 2 N, is the same image with other crops.
            out: (B, views, 3, size, size), filled with their crops.
            note: told each row before it is worked on.

        Returns:
            (B,) the images that are shown, and those that could not be read.

        Raises:
            DataError: no image of the set can be read.
        """
        shown = np.empty_like(positions)
        unread: list[Unread] = []
        for start in range(0, len(positions), _OPEN):
            batch: list[_Opened] = []
            for row, position in enumerate(positions[start : start + _OPEN], start):
                note(row)
                batch.append(self._open(int(position), int(position), unread))
            boxes = self._draw(batch)
            for row, image in enumerate(batch, start):
                note(row)
                shown[row], out[row] = self._crop(image, boxes[row - start], unread)
        return shown, unread

    def _open(self, wanted: int, first: int, unread: list[Unread]) -> _Opened:
        """Read the header of the first image from `first` on that has one, around the set."""
        count = len(self.keys)
        for place in range(first, wanted + count):
            shown = place % count
            try:
                raw = self.reader.read(int(self.keys[shown]))
                return _Opened(wanted, shown, raw, measure(raw, max_pixels=self.max_pixels))
            except UnreadableImage as problem:
                unread.append(Unread(shown, problem.reason))
        raise DataError(
            f"none of {count:,} images can be read any more\nfix: are they still there?"
        )

    def _crop(
        self, image: _Opened, boxes: Positions, unread: list[Unread]
    ) -> tuple[int, npt.NDArray[np.uint8]]:
        """Return the place of the image that is shown, and its crops, (views, 3, size, size)."""
        while True:
            try:
                decoded = self._decode(image, boxes)
                break
            except UnreadableImage as problem:  # damage that the header did not tell of
                unread.append(Unread(image.shown, problem.reason))
            following = image.wanted + (image.shown - image.wanted) % len(self.keys) + 1
            image = self._open(image.wanted, following, unread)
            boxes = self._draw([image])[0]
        height, width = image.header.height, image.header.width
        if decoded.shape[:2] == (width, height) != (height, width):
            # A PNG told that it lies on its side after its pixels.
            height, width = width, height
            turned = image.header._replace(height=height, width=width)
            boxes = self._draw([image._replace(header=turned)])[0]
        scale = np.tile([decoded.shape[0] / height, decoded.shape[1] / width], 2)
        crops = [crop_resize(decoded, tuple(box), self.size) for box in boxes * scale]
        return image.shown, np.stack(crops).transpose(0, 3, 1, 2)

    def _decode(self, image: _Opened, boxes: Positions) -> Pixels:
        """Decode an image, reduced as far as its smallest crop keeps its pixels."""
        shorter = min(image.header.height, image.header.width)
        at_least = math.ceil(shorter * self.size / boxes[:, 2:].min())
        return decode(image.raw, max_pixels=self.max_pixels, at_least=at_least)

    def _draw(self, batch: list[_Opened]) -> Positions:
        """Return the boxes of all views of some images, (B, views, 4)."""
        wanted = torch.tensor([image.wanted for image in batch])
        sizes = torch.tensor([(image.header.height, image.header.width) for image in batch])
        boxes = [self.boxes(wanted, sizes, number) for number in range(self.views)]
        return torch.stack(boxes, dim=1).numpy()


_OPEN = 32  # files held at once; drawing boxes for one costs nearly as much as for all of them
