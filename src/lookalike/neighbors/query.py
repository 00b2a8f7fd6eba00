"""Images that a collection is asked about: one file, or all of a folder or another source."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lookalike.data.decode import MAX_PIXELS
from lookalike.data.folders import FileReader
from lookalike.data.image_set import ImageSet, Unreadable
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.sources import open_source
from lookalike.data.tree import as_unicode
from lookalike.embeddings import Embeddings
from lookalike.errors import DataError
from lookalike.inference import Encoder, squares_in_parts
from lookalike.pairwise.similarity import unit_rows


class Query(NamedTuple):
    """Images to ask about, and their vectors.

    images: those that could be read.
    vectors: of these, in the same order.
    unreadable: what could not be read, and is not asked about.
    """

    images: ImageSet
    vectors: Embeddings
    unreadable: tuple[Unreadable, ...]


def read_query(
    path: str | Path,
    encoder: Encoder,
    *,
    batch_size: int = 256,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Query:
    """Return the image in a file, or the images of a source, with their vectors.

    Args:
        path: the file, folder or other source.
        encoder: what makes the vectors.
        batch_size: pictures at a time.
        max_pixels: larger images count as unreadable.
        progress: told after each image.

    Raises:
        UsageError: there is nothing of that path.
        DataError: none of the images can be read.
    """
    images = open_query(path)
    quarantine = Quarantine(len(images))
    vectors, kept = [torch.zeros(0, encoder.dim)], [np.zeros(0, dtype=np.int64)]
    for squares, positions in squares_in_parts(
        images, encoder.size, max_pixels=max_pixels, quarantine=quarantine, progress=progress
    ):
        vectors.append(encoder.represent(squares, batch_size=batch_size))
        kept.append(positions)
    images = images.select(np.concatenate(kept))
    if not len(images):
        raise DataError(f"{next(iter(quarantine), path)}\n  fix: ask about another image")
    rows = unit_rows(torch.cat(vectors)).numpy()
    embeddings = Embeddings(rows, images.ids, images.labels, images.class_names)
    return Query(images, embeddings, tuple(quarantine))


def open_query(path: str | Path) -> ImageSet:
    """Return the images of a source, or the one in a file.

    Raises:
        UsageError: there is nothing of that path.
    """
    file = Path(path).expanduser()
    if not file.is_file() or file.suffix.lower() in _SOURCES:
        return open_source(path)
    return ImageSet(
        name=file.name,
        ids=(as_unicode(str(path)),),
        labels=np.array([-1]),
        class_names=(),
        reader=FileReader(file.absolute().parent, (file.name,)),
        keys=np.array([0]),
    )


_SOURCES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".npz", ".csv", ".parquet"}
