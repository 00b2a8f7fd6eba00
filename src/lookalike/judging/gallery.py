"""Some images with their vectors, for a report to show neighbours and a map: `gallery.npz`."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch

from lookalike import _check
from lookalike.data.image_set import ImageSet
from lookalike.data.order import epoch_order
from lookalike.data.resident import load_squares
from lookalike.durable import write_atomically
from lookalike.inference import Encoder
from lookalike.pairwise.similarity import unit_rows

THUMB_SIDE = 64


def make_gallery(
    encoder: Encoder,
    images: ImageSet,
    *,
    path: str | Path,
    limit: int = 2000,
    seed: int = 0,
    batch_size: int = 256,
) -> None:
    """Write an `.npz` of arrays, none of them pickled.

    thumbs (n, 64, 64, 3) uint8, ids (n,) text, labels (n,) int64 (-1 unknown), class_names text,
    vectors (n, dim) float32 of length 1; n is `limit` or, if there are fewer that can be read, all.

    Args:
        encoder: what makes the vectors.
        images: what to draw from.
        path: the file to write.
        limit: >= 1, images at most.
        seed: of the draw.
        batch_size: pictures at a time.

    Raises:
        LookalikeError: no space is left.
        ValueError: limit < 1.
    """
    _check.at_least(1, limit=limit)
    drawn = images.select(np.sort(epoch_order(len(images), seed=seed, epoch=0)[:limit]))
    squares, readable = load_squares(drawn, encoder.size)
    shown = drawn.select(readable)
    thumbs, _ = load_squares(shown, THUMB_SIDE)
    vectors = encoder.represent(torch.from_numpy(squares), batch_size=batch_size)
    content = io.BytesIO()
    np.savez(
        content,
        thumbs=thumbs.transpose(0, 2, 3, 1),
        ids=np.array(shown.ids, dtype=np.str_),
        labels=shown.labels,
        class_names=np.array(shown.class_names, dtype=np.str_),
        vectors=unit_rows(vectors).numpy(),
    )
    write_atomically(Path(path), content.getvalue())
