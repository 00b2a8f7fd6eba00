"""Thumbnails of a collection's images, from where the images lay when it was made.

A request names a row, never a file. Which file that is says the collection's own source, listed
once: a row whose id is not listed there any more has no picture, and a file that is no row of the
collection cannot be asked for.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image

from lookalike.data.decode import centre_square, decode
from lookalike.data.image_set import ImageSet
from lookalike.neighbors.collection import Collection
from lookalike.neighbors.pictures import find_images

SIDE = 256  # pixels of a thumbnail; 128 on a screen with two a point
KEPT = 2000  # thumbnails held in memory, of some 10 kB each


class Pictures:
    """The images of a collection that are still there.

    Args:
        collection: whose images to look up.
    """

    def __init__(self, collection: Collection) -> None:
        self._sets: list[ImageSet] = []
        self._set_of = np.full(len(collection.vectors), -1)  # -1 where there is no picture
        self._place_of = np.zeros(len(collection.vectors), dtype=np.int64)
        for rows, images in find_images(collection, collection.present):
            self._set_of[rows] = len(self._sets)
            self._place_of[rows] = np.arange(len(rows))
            self._sets.append(images)
        self.jpeg = lru_cache(KEPT)(self._jpeg)

    def __len__(self) -> int:
        """Return how many rows have a picture."""
        return int((self._set_of >= 0).sum())

    def __contains__(self, row: int) -> bool:
        """Return whether a row has one."""
        return 0 <= row < len(self._set_of) and bool(self._set_of[row] >= 0)

    def _jpeg(self, row: int) -> bytes:
        """Return a row's picture, the centred square that encoders see, as a JPEG file.

        Args:
            row: one of those that are contained.

        Raises:
            UnreadableImage: its file has changed or gone since.
        """
        raw = self._sets[self._set_of[row]].read(int(self._place_of[row]))
        image = decode(raw, at_least=SIDE)
        square = centre_square(image, min(SIDE, *image.shape[:2]))
        file = io.BytesIO()
        Image.fromarray(square).save(file, "JPEG", quality=85)
        return file.getvalue()
