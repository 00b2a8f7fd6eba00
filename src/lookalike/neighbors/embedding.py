"""The images of a source to a collection, in parts: it goes on where it stopped, and in shards."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from lookalike import _check
from lookalike.data.decode import MAX_PIXELS, UnreadableImage, decode
from lookalike.data.image_set import ImageSet, Unreadable, split_name
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.sources import open_source
from lookalike.data.tables import read_columns
from lookalike.data.threads import map_in_order
from lookalike.durable import locked
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
from lookalike.neighbors.parts import PART, Parts, Spent, digest_image, remove_parts, remove_stale
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
        known: images left out because they are in the collection already.
        changed: images embedded again because their files are not what they were.
        missing: parts that other shards have still to make.
        left_out: the source's other splits, where none was asked for, and the images in each.
    """

    path: Path
    collection: Collection | None
    spent: Spent
    unreadable: tuple[Unreadable, ...] = ()
    known: int = 0
    changed: int = 0
    missing: int = 0
    left_out: tuple[tuple[str, int], ...] = ()


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

    The same call goes on where an earlier one stopped; images whose files have changed since then
    are embedded again. Calls with a shard make its parts and no more; the call without one makes
    what is missing and joins all.

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
        UsageError: the source or split cannot be, or the folder holds something else: vectors of
            other images, or of files that have changed since.
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
        return _already(out, encoder, images, dtype, _whereabouts(source))
    if out.exists() and any(out.iterdir()) and not (out / PARTS).is_dir():
        raise UsageError(f"{out} is not empty\n  fix: name another folder with --out")
    if compile:
        encoder = compile_encoder(encoder, batch_size=min(batch_size, PART))
    with _making(out, shared=share is not None):
        if (out / RECORD).exists():  # another process was faster
            return _already(out, encoder, images, dtype, _whereabouts(source))
        parts = Parts(out / PARTS, encoder, images, dtype=dtype, max_pixels=max_pixels)
        changed = parts.forget_changed(parts.share(share or (0, 1)))
        spent = parts.make(parts.missing(share or (0, 1)), batch_size=batch_size, progress=progress)
        if share:
            return Embedded(
                out,
                None,
                spent,
                changed=changed,
                missing=len(parts.missing()),
                left_out=images.left_out,
            )
        unreadable = (*parts.unreadable(), *images.unlisted)
        _limit_unreadable(unreadable, len(images) + len(images.unlisted), max_unreadable)
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
        remove_parts(out / PARTS)
    return Embedded(out, collection, spent, unreadable, changed=changed, left_out=images.left_out)


def add_source(
    collection: Collection,
    encoder: Encoder,
    source: str | Path | ImageSet,
    *,
    split: str | None = None,
    prefix: str = "",
    batch_size: int = 256,
    max_unreadable: float = 0.01,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Embedded:
    """Add the images of a source that a collection does not have yet.

    An image is told by its id. What has an id that is there and the same content is left out. If
    its content is another and it comes from the same source, its file has changed: it is embedded
    again, and takes the other's place.

    Args:
        collection: what to add to.
        encoder: the one that made it.
        source: the images.
        split: part of the source to take.
        prefix: put this before the ids, such as "camera-b/", so that they differ from those that
            are there.
        batch_size: pictures at a time.
        max_unreadable: share of the images that may be unreadable.
        max_pixels: larger images count as unreadable.
        progress: told after each batch.

    Raises:
        UsageError: it is another encoder, the source or split cannot be, or other images of the
            same names are there already.
        DataError: there are no images, or too many cannot be read.
        LookalikeError: no space is left, or another process changes the collection.
    """
    collection.require_encoder(encoder.fingerprint(), what="what is to be added")
    images = source if isinstance(source, ImageSet) else open_source(source, split=split)
    if prefix:
        images = replace(images, ids=tuple(f"{prefix}{name}" for name in images.ids))
    with _making(collection.path):
        collection = open_collection(collection.path, verify=False)  # as it is now
        there = _compare(collection, images, whereabouts := _whereabouts(source))
        if there.other:
            raise UsageError(
                f"{len(there.other):,} of the {len(images):,} images of {source} are called like "
                f"others that {collection.path} has already, for example {there.other[0]!r}\n"
                "  fix: set them apart with --prefix NAME/"
            )
        new = images.select([*there.changed, *there.new])
        encoder = copy.copy(encoder)
        encoder.precision = collection.record.precision or "float32"
        folder, record = collection.path / PARTS, collection.record
        if not len(new):
            remove_stale(folder, len(record.parts))  # a process was killed as it cleared up
            return Embedded(
                collection.path,
                collection,
                Spent(),
                known=len(images),
                left_out=images.left_out,
            )
        after = len(record.parts)
        parts = Parts(folder, encoder, new, dtype=record.dtype, max_pixels=max_pixels, after=after)
        parts.forget_changed(parts.share())
        spent = parts.make(parts.missing(), batch_size=batch_size, progress=progress)
        unreadable = (*parts.unreadable(), *images.unlisted)
        _limit_unreadable(unreadable, len(new) + len(images.unlisted), max_unreadable)
        changed = [images.ids[position] for position in there.changed]
        collection = append_rows(
            collection,
            parts.blocks(),
            _with_columns(parts, source),
            encoder=encoder.fingerprint(),
            source=whereabouts,
            split=images.split,
            prefix=prefix,
            unreadable=unreadable,
            replacing=collection.rows_of(changed),
        )
        remove_parts(folder)
    known = len(images) - len(new)
    return Embedded(
        collection.path,
        collection,
        spent,
        unreadable,
        known,
        len(changed),
        left_out=images.left_out,
    )


class _Compared(NamedTuple):
    """How the images of a set stand to those of a collection.

    same: positions of images that it has.
    changed: positions of those that it has of the same source with another content.
    other: ids that are those of other images there, from elsewhere.
    new: positions of the rest.
    """

    same: list[int]
    changed: list[int]
    other: list[str]
    new: list[int]


def _compare(collection: Collection, images: ImageSet, source: str | None) -> _Compared:
    """Read the files of the images that a collection names, and compare them with what it saw."""
    table, record = collection.table, collection.record
    digests = table.column("sha256").to_pylist() if "sha256" in table.column_names else None
    ends = np.cumsum([part.rows for part in record.parts])
    rows = {collection.ids[row]: row for row in collection.present.tolist()}
    known = [position for position, name in enumerate(images.ids) if name in rows]
    found = _Compared([], [], [], [])
    now = map_in_order(lambda position: digest_image(images, position), known)
    for position, digest in zip(known, now, strict=True):
        row = rows[images.ids[position]]
        if digests is None or digests[row] is None or digests[row] == digest:
            found.same.append(position)
        elif record.parts[int(np.searchsorted(ends, row, side="right"))].source == source:
            found.changed.append(position)
        else:
            found.other.append(images.ids[position])
    found.new.extend(position for position, name in enumerate(images.ids) if name not in rows)
    return found


@contextmanager
def _making(out: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep others from making vectors in a folder meanwhile; jobs with a shard share it."""
    folder = out / PARTS
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, shared=shared) as descriptor:
            try:
                same = os.path.samestat(os.fstat(descriptor), os.stat(folder))
            except FileNotFoundError:
                same = False
            if same:  # else its last owner removed it as we waited
                try:
                    yield
                finally:
                    with suppress(OSError):  # it holds something to go on from, or is gone
                        folder.rmdir()
                break


def _read_shard(text: str | None) -> tuple[int, int] | None:
    """Return a shard's number and how many there are."""
    if text is None:
        return None
    number, slash, shards = text.partition("/")
    if not (slash and number.isdecimal() and shards.isdecimal() and int(number) < int(shards)):
        raise ValueError(f"shard must be from 0/N to N-1/N, such as 0/16, got {text!r}")
    return int(number), int(shards)


def _already(
    out: Path, encoder: Encoder, images: ImageSet, dtype: Precision, source: str | None
) -> Embedded:
    """Return the collection that is there, if it is what is asked for."""
    collection = open_collection(out)
    collection.require_encoder(encoder.fingerprint(), what="what is to be embedded")
    first = collection.record.parts[0] if collection.record.parts else None
    ids = set(collection.ids[: first.rows]) if first else set()
    whole = first is not None and first.rows + first.unreadable == len(images) + len(
        images.unlisted
    )
    if not (whole and ids <= set(images.ids) and collection.record.dtype == dtype):
        raise UsageError(
            f"{out} is a collection of other images, or in another dtype, already\n"
            f"  fix: name another --out, or add what is new: lookalike index {out} --add SOURCE"
        )
    compared = _compare(collection, images, source)
    seen = set(collection.ids)
    mended = [place for place in compared.new if images.ids[place] not in seen]
    mended = [place for place in mended if _can_be_read(images, place)]
    if differing := [*compared.changed, *mended]:
        raise UsageError(
            f"{len(differing):,} of the {len(images):,} images have changed since {out} was made, "
            f"for example {images.ids[differing[0]]!r}\n"
            f"  fix: embed these again with lookalike index {out} --add SOURCE, or all of them "
            "with another --out"
        )
    if compared.other:
        raise UsageError(
            f"{out} is a collection of other images already: {len(compared.other):,} of the "
            f"{len(images):,} have the same names and another content, for example "
            f"{compared.other[0]!r}\n  fix: name another --out, or add them with "
            f"lookalike index {out} --add SOURCE --prefix NAME/"
        )
    if (out / PARTS).is_dir():  # a process was killed as it cleared up
        with _making(out):
            remove_stale(out / PARTS, len(collection.record.parts))
    return Embedded(out, collection, Spent(), left_out=images.left_out)


def _can_be_read(images: ImageSet, position: int) -> bool:
    try:
        decode(images.read(position))
    except UnreadableImage:
        return False
    return True


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
    there = path.exists() or (split_name(path.name) is not None and path.parent.exists())
    return str(path.absolute()) if there else str(source)
