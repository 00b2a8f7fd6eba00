"""Collections are written, added to and taken from here; see `collection` for what they are."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from lookalike.data.image_set import Unreadable
from lookalike.durable import (
    NO_SPACE,
    locked,
    no_space,
    open_atomically,
    sync_folder,
    write_atomically,
)
from lookalike.errors import UsageError
from lookalike.names import to_cells
from lookalike.neighbors.collection import (
    ID,
    MODEL,
    RECORD,
    UNREADABLE,
    VECTORS,
    Collection,
    Part,
    Precision,
    Record,
    Rows,
    Vectors,
    damaged,
    open_collection,
    read_record,
    sha256,
)

_MODEL_FILES = ("model.safetensors", "preprocessor.json", "config.json")


def write_collection(
    path: str | Path,
    blocks: Iterable[Vectors],
    table: Any,
    *,
    dim: int,
    dtype: Precision = "float16",
    encoder: str | None = None,
    precision: Literal["float32", "bfloat16"] | None = None,
    model: Path | None = None,
    source: str | None = None,
    split: str | None = None,
    prefix: str = "",
    unreadable: Iterable[Unreadable] = (),
) -> Collection:
    """Write a new collection.

    Args:
        path: its folder; made if it is missing.
        blocks: (n, dim) each, rows of length 1 (or 0), N in all; taken one after the other.
        table: N rows, a pyarrow table with a text column `id` and any others.
        dim: width of a vector.
        dtype: to store the vectors in.
        encoder: fingerprint of what made them.
        precision: of the matrix products that made them.
        model: folder of the encoder, to copy.
        source: where the images are, as `open_source` takes it.
        split: which part of that source.
        prefix: what stands before each image's name in that source.
        unreadable: what was left out, and why.

    Returns:
        what was written, opened.

    Raises:
        UsageError: there is a collection already.
        ValueError: the table has another number of rows than there are vectors.
        LookalikeError: no space is left.
    """
    folder = Path(path)
    if (folder / RECORD).exists():
        raise UsageError(f"{folder} is a collection already\n  fix: name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder), _telling_no_space(folder / VECTORS):
        with open_atomically(folder / VECTORS) as file:
            file.write(_header(table.num_rows, dim, dtype))
            rows, digest = _append(file, blocks, dim, dtype)
            _require_rows(rows, table)
        if model is not None:
            _copy_model(model, folder / MODEL)
        listed = tuple(unreadable)
        part = _write_part(folder, table, rows, digest, number=1)
        part = replace(part, source=source, split=split, prefix=prefix, unreadable=len(listed))
        _write_unreadable(folder, listed)
        record = Record(dim=dim, dtype=dtype, encoder=encoder, precision=precision, parts=(part,))
        write_atomically(folder / RECORD, record.to_json())
    return open_collection(folder, verify=False)


def append_rows(
    collection: Collection,
    blocks: Iterable[Vectors],
    table: Any,
    *,
    encoder: str | None = None,
    source: str | None = None,
    split: str | None = None,
    prefix: str = "",
    unreadable: Iterable[Unreadable] = (),
    replacing: Rows | None = None,
) -> Collection:
    """Add images to a collection; what is there is not written again.

    Args:
        collection: to add to.
        blocks: as in `write_collection`.
        table: likewise.
        encoder: fingerprint of what made the vectors.
        source: where the images are.
        split: which part of that source.
        prefix: what stands before each image's name in that source.
        unreadable: what was left out.
        replacing: rows to take out at the same moment.

    Returns:
        the collection as it is now.

    Raises:
        UsageError: the vectors are of another encoder, or a column holds values of another kind.
        ValueError: widths or numbers of rows differ.
        LookalikeError: no space is left, or another process changes the collection.
    """
    folder = collection.path
    collection.require_encoder(encoder, what="what is to be added")
    with locked(folder), _telling_no_space(folder / VECTORS):
        record = read_record(folder)
        table = _like(table, collection)
        listed = tuple(unreadable)
        before = len(_header(0, record.dim, record.dtype))
        width = record.dim * np.dtype(record.dtype).itemsize
        with open(folder / VECTORS, "r+b") as file:
            file.truncate(before + record.rows * width)  # what an addition that was cut left
            file.seek(0, os.SEEK_END)
            rows, digest = _append(file, blocks, record.dim, record.dtype)
            _require_rows(rows, table)
            file.seek(0)
            file.write(_header(record.rows + rows, record.dim, record.dtype))
        part = _write_part(folder, table, rows, digest, number=len(record.parts) + 1)
        part = replace(part, source=source, split=split, prefix=prefix, unreadable=len(listed))
        earlier = sum(part.unreadable for part in record.parts)
        _write_unreadable(folder, listed, after=earlier)
        gone = () if replacing is None else replacing.tolist()
        removed = tuple(sorted({*record.removed, *gone}))
        changed = replace(record, parts=(*record.parts, part), removed=removed)
        write_atomically(folder / RECORD, changed.to_json())
    return open_collection(folder, verify=False)


def remove_rows(collection: Collection, rows: Rows) -> Collection:
    """Take images out of a collection; their vectors stay in the file, and are passed over.

    Args:
        collection: to take from.
        rows: theirs, as `Collection.rows_of` finds them.

    Returns:
        the collection as it is now.

    Raises:
        LookalikeError: another process changes the collection, or no space is left.
    """
    with locked(collection.path):
        record = read_record(collection.path)
        removed = tuple(sorted({*record.removed, *rows.tolist()}))
        write_atomically(collection.path / RECORD, replace(record, removed=removed).to_json())
    return open_collection(collection.path, verify=False)


def write_engine(collection: Collection, content: bytes, known: Mapping[str, Any]) -> Collection:
    """Put an approximate engine beside a collection's vectors, in place of another if there is one.

    Args:
        collection: that it searches.
        content: of its file.
        known: what else has to be kept of it, for JSON; `kind` names the file.

    Raises:
        LookalikeError: another process changes the collection, or no space is left.
    """
    digest = sha256(content)
    name = f"{known['kind']}-{digest[:8]}.faiss"
    with locked(collection.path):
        write_atomically(collection.path / name, content)
        _set_engine(collection.path, {"file": name, "digest": digest, **known})
    return open_collection(collection.path, verify=False)


def remove_engine(collection: Collection) -> Collection:
    """Take the approximate engine away; the collection is searched exactly then.

    Raises:
        LookalikeError: another process changes the collection.
    """
    with locked(collection.path):
        _set_engine(collection.path, None)
    return open_collection(collection.path, verify=False)


def read_engine(collection: Collection) -> tuple[bytes, dict[str, Any]]:
    """Return the file of a collection's engine, which it must have, and what is kept of it.

    Raises:
        DataError: the file is missing or damaged.
    """
    known = dict(collection.record.engine or {})
    path = collection.path / Path(known.pop("file")).name
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise damaged(path, problem.strerror or str(problem)) from problem
    if sha256(content) != known.pop("digest"):
        raise damaged(path, "it does not match its digest")
    return content, known


def _set_engine(folder: Path, engine: Mapping[str, Any] | None) -> None:
    record = read_record(folder)
    write_atomically(folder / RECORD, replace(record, engine=engine).to_json())
    old = (record.engine or {}).get("file")
    if old and old != (engine or {}).get("file"):
        (folder / Path(old).name).unlink(missing_ok=True)


@contextmanager
def _telling_no_space(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        if problem.errno in NO_SPACE:
            raise no_space(path) from problem
        raise


def _header(rows: int, dim: int, dtype: str) -> bytes:
    """Return the beginning of the file of vectors; as long for any number of rows."""
    file = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype).newbyteorder("<"))
    content = {"descr": descr, "fortran_order": False, "shape": (rows, dim)}
    np.lib.format.write_array_header_1_0(file, content)
    return file.getvalue()


def _append(file: BinaryIO, blocks: Iterable[Vectors], dim: int, dtype: str) -> tuple[int, str]:
    """Write vectors to the disk itself; return how many they are, and their digest."""
    rows, digest = 0, hashlib.sha256()
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != dim:
            raise ValueError(f"vectors must have the shape (n, {dim}), got {block.shape}")
        if not np.isfinite(block).all():
            raise ValueError("vectors must be finite, got NaN or infinity")
        content = np.ascontiguousarray(block, dtype=np.dtype(dtype).newbyteorder("<"))
        file.write(content.data)
        digest.update(content.data)
        rows += len(block)
    file.flush()
    os.fsync(file.fileno())
    return rows, digest.hexdigest()


def _require_rows(rows: int, table: Any) -> None:
    if rows != table.num_rows:
        raise ValueError(f"{rows:,} vectors need as many rows in the table, got {table.num_rows:,}")


def _write_part(folder: Path, table: Any, rows: int, digest: str, *, number: int) -> Part:
    import pyarrow.parquet  # noqa: PLC0415  half a second

    if table.schema.field(ID).type != pyarrow.string() or table.column(ID).null_count:
        raise ValueError("the table's column `id` must be text, and never null")
    content = io.BytesIO()
    pyarrow.parquet.write_table(table, content, compression="zstd")
    name = "images.parquet" if number == 1 else f"images-{number:04d}.parquet"
    write_atomically(folder / name, content.getvalue())
    return Part(rows=rows, vectors=digest, table=name, digest=sha256(content.getbuffer()))


def _like(table: Any, collection: Collection) -> Any:
    """Return a table with its columns in the kinds that they have in the collection."""
    import pyarrow  # noqa: PLC0415

    for number, field in enumerate(table.schema):
        if field.name not in collection.table.column_names:
            continue
        wanted = collection.table.schema.field(field.name).type
        try:
            column = table.column(number).cast(wanted)
        except pyarrow.ArrowException:
            raise UsageError(
                f"the column {field.name} of {collection.path} holds {wanted}, and what is to be "
                f"added holds {field.type}\n  fix: rename or mend that column"
            ) from None
        table = table.set_column(number, field.name, column)
    return table


def _write_unreadable(folder: Path, listed: tuple[Unreadable, ...], *, after: int = 0) -> None:
    """Write the list of what is unreadable, behind as many of its lines as the record counts.

    Lines beyond are of an addition that was cut short before the record said so.
    """
    path, content = folder / UNREADABLE, io.StringIO(newline="")
    rows = csv.writer(content)
    rows.writerow(Unreadable._fields)
    if after and path.exists():
        there = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))
        rows.writerows(list(there)[1 : 1 + after])
    rows.writerows(to_cells(each) for each in listed)
    write_atomically(path, content.getvalue().encode("utf-8", errors="backslashreplace"))


def _copy_model(model: Path, folder: Path) -> None:
    if model.resolve() == folder.resolve():
        return
    folder.mkdir(exist_ok=True)
    for name in _MODEL_FILES:  # the one that says what the others are comes last
        shutil.copyfile(model / name, folder / name)
    sync_folder(folder)
