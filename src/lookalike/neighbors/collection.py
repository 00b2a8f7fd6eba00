"""A collection: the vectors of some images in a folder, with what is known of each image.

    photos.vec/collection.json      what made the vectors, and the digest of every part
               vectors.npy          (N, D) float16 or float32, rows of length 1; memory-mapped
               images.parquet       a row a vector: id, class (null where unknown), other columns
               images-0002.parquet  the same of the rows that were added after these
               unreadable.csv       what could not be read, and why
               model/               the encoder, so that queries are encoded without its run

`collection.json` is written last and says what counts: rows are only ever appended, and of an image
that is removed it only names the row. So nothing is rebuilt, and a crash leaves what was there.
Nothing in a collection is unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lookalike.data.image_set import number_classes
from lookalike.embeddings import Embeddings
from lookalike.errors import DataError, UsageError
from lookalike.registry import did_you_mean

FORMAT, VERSION = "lookalike collection", 1
RECORD, VECTORS, UNREADABLE, MODEL = "collection.json", "vectors.npy", "unreadable.csv", "model"
ID, CLASS = "id", "class"
Precision = Literal["float16", "float32"]
Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.floating[Any]]
Where = Mapping[str, object]
"""Values wanted of columns: one each, or a list, tuple or set of which any will do."""

_BLOCK = 2**24  # bytes that are digested at a time
_ALIKE = 20_000  # ids that a misspelt one is compared with: comparing takes long


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows that were written together.

    Attributes:
        rows: how many.
        vectors: sha256 of their bytes in the file of vectors.
        table: the file of their table.
        digest: sha256 of that file.
        source: where their images are, as `open_source` takes it; None where nobody said.
        split: which part of that source.
        prefix: what stands before each image's name in that source.
        unreadable: how many images were left out.
    """

    rows: int
    vectors: str
    table: str
    digest: str
    source: str | None = None
    split: str | None = None
    prefix: str = ""
    unreadable: int = 0


@dataclass(frozen=True, kw_only=True)
class Record:
    """What `collection.json` says.

    Attributes:
        dim: width of a vector.
        dtype: of the stored vectors.
        encoder: fingerprint of what made them; None where nobody said.
        precision: of the matrix products that made them; None likewise.
        parts: in the order of their rows.
        removed: rows of the images that were removed, rising.
        engine: the approximate engine beside the vectors, and what it was measured at; or None.
    """

    dim: int
    dtype: Precision
    encoder: str | None = None
    precision: Literal["float32", "bfloat16"] | None = None
    parts: tuple[Part, ...] = ()
    removed: tuple[int, ...] = ()
    engine: Mapping[str, Any] | None = None

    @property
    def rows(self) -> int:
        """Rows of all parts, those of removed images among them."""
        return sum(part.rows for part in self.parts)

    def to_json(self) -> bytes:
        """Return the file's content; the same for the same record."""
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(content, indent=1, ensure_ascii=False).encode()


@dataclass(frozen=True, eq=False)
class Collection:
    """The vectors of some images, and what is known of each.

    Attributes:
        path: its folder.
        record: what is known of all.
        vectors: (N, D) float16 or float32, each of length 1 (or 0), read as they are needed. Rows
            of removed images are still there.
        table: N rows, a pyarrow table; the column `id` is text and never null.
    """

    path: Path
    record: Record
    vectors: Vectors
    table: Any

    def __len__(self) -> int:
        """Return the number of images, without those that were removed."""
        return len(self.vectors) - len(self.record.removed)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The name of every row's image: its path inside its source."""
        return tuple(self.table.column(ID).to_pylist())

    @cached_property
    def present(self) -> Rows:
        """(M,) rows of the images that were not removed, rising."""
        kept = np.ones(len(self.vectors), dtype=bool)
        kept[list(self.record.removed)] = False
        return np.flatnonzero(kept)

    def embeddings(self) -> Embeddings:
        """Return the images that were not removed, in float32 and in memory; row i is `present[i]`.

        Labels number the column `class`; they are -1 where it is not there.
        """
        classes = self.table.column(CLASS).to_pylist() if CLASS in self.table.column_names else []
        names, labels = number_classes(classes or [None] * len(self.vectors))
        rows = self.present
        ids = tuple(self.ids[row] for row in rows)
        return Embeddings(self.vectors[rows].astype(np.float32), ids, labels[rows], names)

    def rows_of(self, ids: Iterable[str]) -> Rows:
        """Return the rows of images, rising.

        Raises:
            UsageError: an id is not in the collection.
        """
        import pyarrow  # noqa: PLC0415  half a second that not every use of a collection needs
        import pyarrow.compute  # noqa: PLC0415

        wanted = set(ids)
        values = pyarrow.array(sorted(wanted), pyarrow.string())
        named = pyarrow.compute.is_in(self.table.column(ID), value_set=values).to_numpy()
        found: Rows = self.present[named[self.present]]
        if missing := wanted - {self.ids[row] for row in found}:
            first = min(missing)
            known = [self.ids[row] for row in self.present[:_ALIKE]]
            raise UsageError(f"{self.path} has no image {first!r}.{did_you_mean(first, known)}")
        return found

    def rows_where(self, where: Where) -> Rows:
        """Return the rows of the images whose columns hold what is wanted, rising.

        Args:
            where: wanted values by column; an image has to hold one of each column's.

        Raises:
            UsageError: there is no such column, or it holds values of another kind.
        """
        import pyarrow  # noqa: PLC0415
        import pyarrow.compute  # noqa: PLC0415

        kept = np.zeros(len(self.vectors), dtype=bool)
        kept[self.present] = True
        for name, value in where.items():
            if name not in self.table.column_names:
                columns = self.table.column_names
                raise UsageError(
                    f"{self.path} has no column {name!r}.{did_you_mean(name, columns)}"
                    f"  (it has: {', '.join(columns)})"
                )
            column = self.table.column(name)
            values = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
            try:
                wanted = pyarrow.array(values).cast(column.type)
            except pyarrow.ArrowException:
                raise UsageError(
                    f"the column {name} of {self.path} holds {column.type}, and {values} are none"
                ) from None
            kept &= pyarrow.compute.is_in(column, value_set=wanted).to_numpy()
        return np.flatnonzero(kept)

    def require_encoder(self, fingerprint: str | None, *, what: str) -> None:
        """Refuse vectors of another encoder than the collection's; None is a maker unknown.

        Args:
            fingerprint: of what made them.
            what: is refused, for the message.

        Raises:
            UsageError: it was another.
        """
        own = self.record.encoder
        if own is not None and fingerprint is not None and own != fingerprint:
            raise UsageError(
                f"{what} is of encoder {fingerprint[:12]}, and {self.path} of encoder {own[:12]}: "
                "their vectors cannot be compared\n  fix: embed both with one encoder"
            )


def open_collection(path: str | Path, *, verify: bool = True) -> Collection:
    """Return the collection in a folder.

    Args:
        path: the folder that `lookalike embed` wrote.
        verify: whether to compare the vectors with their digests, which reads all of them once.

    Raises:
        UsageError: there is none, or it is of a newer format.
        DataError: a file of it is damaged or missing; the message names it.
    """
    folder = Path(path)
    record = read_record(folder)
    vectors = _map_vectors(folder / VECTORS, record)
    if verify:
        _verify(folder / VECTORS, vectors, record)
    return Collection(folder, record, vectors, _read_tables(folder, record))


def read_record(folder: Path) -> Record:
    """Return what a collection's `collection.json` says.

    Raises:
        UsageError: there is none, or it cannot be read or is of a newer format.
    """
    try:
        content = json.loads((folder / RECORD).read_bytes())
        kind, version = content.pop("format"), content.pop("version")
        if kind != FORMAT or version > VERSION:
            raise UsageError(
                f"{folder} holds {kind!r} version {version}, and this lookalike reads {FORMAT!r} "
                f"up to version {VERSION}\n  fix: update lookalike"
            )
        content["parts"] = tuple(Part(**part) for part in content["parts"])
        content["removed"] = tuple(content["removed"])
        record = Record(**content)
        if not all(0 <= row < record.rows for row in record.removed):
            raise ValueError("it names removed rows that are not there")
        if not all(Path(part.table).name == part.table and part.rows >= 0 for part in record.parts):
            raise ValueError("it names tables that lie elsewhere")
        return record
    except (FileNotFoundError, NotADirectoryError) as problem:
        unfinished = (folder / "parts").is_dir()
        raise UsageError(
            f"{folder} is no collection{' yet' if unfinished else ''}: it has no {RECORD}\n"
            f"  fix: {'run the same' if unfinished else 'write one with'} lookalike embed"
            f"{' again, it goes on from there' if unfinished else ' RUN SOURCE --out FOLDER'}"
        ) from problem
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as problem:
        if isinstance(problem, UsageError):
            raise
        raise UsageError(f"{folder / RECORD} cannot be read: {problem!r}") from problem


def sha256(content: bytes | memoryview) -> str:
    """Return the digest of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def damaged(path: Path, how: str) -> DataError:
    """Return the one line that a user reads of a damaged file."""
    return DataError(f"{path} is damaged: {how}\n  fix: restore it from a backup, or embed again")


def _map_vectors(path: Path, record: Record) -> Vectors:
    """Return the rows that count, mapped; the file may hold more, of an addition that was cut."""
    shape = (record.rows, record.dim)
    try:
        with open(path, "rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("its format is not version 1.0")
            (_, *rest), fortran, dtype = np.lib.format.read_array_header_1_0(file)
            offset = file.tell()
    except (OSError, ValueError) as problem:
        raise damaged(path, str(problem)) from problem
    if dtype != np.dtype(f"<{record.dtype[0]}{int(record.dtype[-2:]) // 8}"):
        raise damaged(path, f"it holds {dtype}, and {RECORD} says {record.dtype}")
    if rest != [record.dim] or fortran:
        raise damaged(path, f"its rows have the shape {rest}, and {RECORD} says {[record.dim]}")
    if path.stat().st_size < offset + shape[0] * shape[1] * dtype.itemsize:
        raise damaged(path, f"it holds fewer than the {record.rows:,} rows of {RECORD}")
    if not record.rows:
        return np.zeros(shape, dtype)
    # "c" shares nothing with the file but what is read, and torch takes no array that is read-only
    return np.asarray(np.memmap(path, dtype, mode="c", offset=offset, shape=shape))


def _verify(path: Path, vectors: Vectors, record: Record) -> None:
    start = 0
    for part in record.parts:
        content = vectors[start : start + part.rows].reshape(-1).view(np.uint8)
        digest = hashlib.sha256()
        for first in range(0, len(content), _BLOCK):
            digest.update(content[first : first + _BLOCK].data)
        if digest.hexdigest() != part.vectors:
            end = start + part.rows
            raise damaged(path, f"its rows {start:,} to {end:,} do not match their digest")
        start += part.rows


def _read_tables(folder: Path, record: Record) -> Any:
    """Return the tables of all parts, one below the other."""
    import pyarrow  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    tables = []
    for part in record.parts:
        path = folder / part.table
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise damaged(path, problem.strerror or str(problem)) from problem
        if sha256(content) != part.digest:
            raise damaged(path, "it does not match its digest")
        # pyarrow's threads abort the process as it ends, now and then, where torch is loaded too;
        # its `read_table` starts some even if told not to
        # (a Python file would be called from them, as the interpreter ends)
        with pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content)) as file:
            tables.append(file.read(use_threads=False))
        if tables[-1].num_rows != part.rows:
            raise damaged(path, f"it has {tables[-1].num_rows:,} rows of {part.rows:,}")
    if not tables:
        return pyarrow.table({ID: pyarrow.array([], pyarrow.string())})
    return pyarrow.concat_tables(tables, promote_options="permissive")
