"""The images of a source to a collection, in parts: it goes on where it stopped, and in shards."""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lookalike import _check
from lookalike.data.decode import MAX_PIXELS
from lookalike.data.image_set import SPLITS, ImageSet, Unreadable
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.sources import open_source
from lookalike.data.tables import read_columns
from lookalike.errors import UsageError
from lookalike.inference import Encoder, fast_precision
from lookalike.neighbors.collection import (
    MODEL,
    RECORD,
    Collection,
    Precision,
    open_collection,
)
from lookalike.neighbors.compiling import compile_encoder
from lookalike.neighbors.parts import PART, Parts, Spent
from lookalike.neighbors.writing import append_rows, write_collection

PARTS = "parts"


@dataclass(frozen=True)
class Embedded:
    """What came of embedding a source.

    Attributes:
        path: folder of the collection.
        collection: what there is now; None while parts are missing.
        spent: where the time went; of no images if all was there already.
        unreadable: what could not be read, in the parts that are there now.
        known: images left out because their ids are in the collection already.
        missing: parts that other shards have still to make.
    """

    path: Path
    collection: Collection | None
    spent: Spent
    unreadable: tuple[Unreadable, ...] = ()
    known: int = 0
    missing: int = 0


def embed_source(
    encoder: Encoder,
    source: str | Path | ImageSet,
    *,
    out: Path,
    split: str | None = None,
    shard: str | None = None,
    dtype: Literal["float16", "float32"] = "float16",
    precision: Literal["auto", "bfloat16", "float32"] = "auto",
    compile: bool = False,
    batch_size: int = 256,
    max_unreadable: float = 0.01,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Embedded:
    """Write the vectors of a source's images to a collection.

    The same call goes on where an earlier one stopped. Calls with a shard make its parts and no
    more; the call without one makes what is missing and joins all.

    Args:
        encoder: what makes the vectors.
        source: the images.
        out: folder to write to.
        split: part of the source to take.
        shard: make this share of the vectors alone: "0/16" to "15/16".
        dtype: to store vectors in; float16 moves a cosine by 0.0005 at most.
        precision: of matrix products; auto: bfloat16 where the machine is fast at it.
        compile: compile the network first: that takes a minute and, without a GPU, a C++ compiler,
            and pays where there are thousands of images.
        batch_size: pictures at a time.
        max_unreadable: share of images that may be unreadable; they are left out and listed.
        max_pixels: larger images count as unreadable.
        progress: told after each batch.

    Raises:
        UsageError: the source or split cannot be, or the folder holds something else.
        DataError: there are no images, or too many cannot be read.
        LookalikeError: no space is left, another process writes there, or the network cannot be
            compiled.
        ValueError: an option is out of its range.
    """
    _check.at_least(1, batch_size=batch_size)
    _check.one_of(("float16", "float32"), dtype=dtype)
    _check.one_of(("auto", "bfloat16", "float32"), precision=precision)
    share = _read_shard(shard)
    images = source if isinstance(source, ImageSet) else open_source(source, split=split)
    encoder = copy.copy(encoder)
    encoder.precision = fast_precision(encoder.device)[0] if precision == "auto" else precision
    if (out / RECORD).exists():
        return _already(out, encoder, images, dtype)
    if out.exists() and any(out.iterdir()) and not (out / PARTS).is_dir():
        raise UsageError(f"{out} is not empty\n  fix: name another folder with --out")
    if compile:
        encoder = compile_encoder(encoder, batch_size=min(batch_size, PART))
    parts = Parts(out / PARTS, encoder, images, dtype=dtype, max_pixels=max_pixels)
    spent = parts.make(parts.missing(share or (0, 1)), batch_size=batch_size, progress=progress)
    if share:
        return Embedded(out, None, spent, missing=len(parts.missing()))
    unreadable = parts.unreadable()
    _limit_unreadable(unreadable, len(images), max_unreadable)
    encoder.save(out / MODEL)
    collection = write_collection(
        out,
        parts.blocks(),
        _with_columns(parts, source),
        dim=encoder.dim,
        dtype=dtype,
        encoder=encoder.fingerprint(),
        precision=encoder.precision,
        source=_whereabouts(source),
        split=images.split,
        unreadable=unreadable,
    )
    shutil.rmtree(out / PARTS)
    return Embedded(out, collection, spent, unreadable)


def add_source(
    collection: Collection,
    encoder: Encoder,
    source: str | Path | ImageSet,
    *,
    split: str | None = None,
    batch_size: int = 256,
    max_unreadable: float = 0.01,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Embedded:
    """Add the images of a source that a collection does not have yet, told by their ids.

    Args:
        collection: what to add to.
        encoder: the one that made it.
        source: the images.
        split: part of the source to take.
        batch_size: pictures at a time.
        max_unreadable: share of the images that may be unreadable.
        max_pixels: larger images count as unreadable.
        progress: told after each batch.

    Raises:
        UsageError: it is another encoder, or the source or split cannot be.
        DataError: there are no images, or too many cannot be read.
        LookalikeError: no space is left, or another process changes the collection.
    """
    collection.require_encoder(encoder.fingerprint(), what="what is to be added")
    images = source if isinstance(source, ImageSet) else open_source(source, split=split)
    known = {collection.ids[row] for row in collection.present}
    new = images.select([row for row, name in enumerate(images.ids) if name not in known])
    encoder = copy.copy(encoder)
    encoder.precision = collection.record.precision or "float32"
    folder = collection.path / PARTS
    parts = Parts(folder, encoder, new, dtype=collection.record.dtype, max_pixels=max_pixels)
    spent = parts.make(parts.missing(), batch_size=batch_size, progress=progress)
    unreadable = parts.unreadable()
    _limit_unreadable(unreadable, len(new), max_unreadable)
    if len(new):
        collection = append_rows(
            collection,
            parts.blocks(),
            _with_columns(parts, source),
            encoder=encoder.fingerprint(),
            source=_whereabouts(source),
            split=images.split,
            unreadable=unreadable,
        )
    shutil.rmtree(folder)
    return Embedded(collection.path, collection, spent, unreadable, len(images) - len(new))


def _read_shard(text: str | None) -> tuple[int, int] | None:
    """Return a shard's number and how many there are."""
    if text is None:
        return None
    number, slash, shards = text.partition("/")
    if not (slash and number.isdecimal() and shards.isdecimal() and int(number) < int(shards)):
        raise ValueError(f"shard must be from 0/N to N-1/N, such as 0/16, got {text!r}")
    return int(number), int(shards)


def _already(out: Path, encoder: Encoder, images: ImageSet, dtype: Precision) -> Embedded:
    """Return the collection that is there, if it is what is asked for."""
    collection = open_collection(out)
    collection.require_encoder(encoder.fingerprint(), what="what is to be embedded")
    first = collection.record.parts[0] if collection.record.parts else None
    ids = set(collection.ids[: first.rows]) if first else set()
    whole = first is not None and first.rows + first.unreadable == len(images)
    if not (whole and ids <= set(images.ids) and collection.record.dtype == dtype):
        raise UsageError(
            f"{out} is a collection of other images, or in another dtype, already\n"
            f"  fix: name another --out, or add what is new: lookalike index {out} --add SOURCE"
        )
    shutil.rmtree(out / PARTS, ignore_errors=True)  # a process was killed as it cleared up
    return Embedded(out, collection, Spent())


def _limit_unreadable(unreadable: tuple[Unreadable, ...], total: int, max_share: float) -> None:
    quarantine = Quarantine(total)
    for one in unreadable:
        quarantine.add(one.id, one.reason)
    quarantine.raise_if_above(max_share)


def _with_columns(parts: Parts, source: str | Path | ImageSet) -> Any:
    """Return the table of all parts with the columns that the source's own table has besides."""
    import pyarrow  # noqa: PLC0415  half a second

    table = parts.table()
    own = {} if isinstance(source, ImageSet) else read_columns(Path(source))
    rows = parts.images.keys[np.array(parts.positions(), dtype=np.int64)]
    for name, values in own.items():
        free = name if name not in table.column_names else f"{name} in table"
        table = table.append_column(free, pyarrow.array(values).take(pyarrow.array(rows)))
    return table


def _whereabouts(source: str | Path | ImageSet) -> str | None:
    """Return how to find the images again from any folder."""
    if isinstance(source, ImageSet):
        return None
    path = Path(source).expanduser()
    there = path.exists() or (path.name in SPLITS and path.parent.exists())
    return str(path.absolute()) if there else str(source)
