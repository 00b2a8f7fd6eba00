"""The pictures behind rows of a collection, looked up where they were; some may be gone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lookalike.data.decode import Pixels
from lookalike.data.image_set import ImageSet
from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.errors import DataError, UsageError
from lookalike.neighbors.collection import Collection, Rows


def find_images(collection: Collection, rows: Rows) -> Iterator[tuple[Rows, ImageSet]]:
    """Yield some of the rows with their images, in the same order; what is gone is left out.

    Args:
        collection: that has the rows.
        rows: wanted, in any order.
    """
    start = 0
    for part in collection.record.parts:
        inside = rows[(rows >= start) & (rows < start + part.rows)]
        start += part.rows
        if part.source is None or not len(inside):
            continue
        try:
            images = open_source(part.source, split=part.split)
        except (UsageError, DataError):
            continue
        places = {f"{part.prefix}{name}": place for place, name in enumerate(images.ids)}
        there = [row for row in inside.tolist() if collection.ids[row] in places]
        yield (
            np.array(there, dtype=np.int64),
            images.select([places[collection.ids[row]] for row in there]),
        )


def load_thumbs(collection: Collection, rows: Rows, side: int) -> dict[int, Pixels]:
    """Return the (side, side, 3) picture of each row whose image is there and can be read."""
    thumbs: dict[int, Pixels] = {}
    for there, images in find_images(collection, np.unique(rows)):
        pictures, readable = load_squares(images, side)
        found = zip(there[readable].tolist(), pictures.transpose(0, 2, 3, 1), strict=True)
        thumbs.update(found)
    return thumbs
