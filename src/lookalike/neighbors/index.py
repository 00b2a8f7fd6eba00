"""An index: the nearest images of a collection, exactly or by its engine; it grows and shrinks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike import _check
from lookalike.data.given import Picture, as_list
from lookalike.embeddings import Embeddings
from lookalike.errors import UsageError
from lookalike.inference import Encoder, load_encoder
from lookalike.neighbors.approximate import (
    Engine,
    Kind,
    build_engine,
    compare,
    pack,
    propose,
    unpack,
)
from lookalike.neighbors.collection import (
    ID,
    MODEL,
    RECORD,
    Collection,
    Part,
    Precision,
    Rows,
    Vectors,
    Where,
    open_collection,
)
from lookalike.neighbors.exact import nearest
from lookalike.neighbors.hits import Hits, make_hits, without
from lookalike.neighbors.memory import IN_MEMORY, collect, grown, unit_vectors
from lookalike.neighbors.writing import (
    append_rows,
    read_engine,
    remove_engine,
    remove_rows,
    write_collection,
    write_engine,
)
from lookalike.pairwise.similarity import unit_rows

_BLOCK = 2**16  # rows written at a time


class Index:
    """Images that can be asked for their nearest, in memory or in a folder.

    What is opened from a folder is changed there, and only there.

    Args:
        collection: what to search.
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._engine: Engine | None = None  # read when it is first wanted

    @classmethod
    def build(
        cls,
        vectors: npt.NDArray[Any] | Embeddings,
        *,
        ids: Sequence[str | Path] | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        encoder: str | None = None,
    ) -> Index:
        """Return an index of vectors, in memory.

        Args:
            vectors: (N, D) of any length, or embeddings, which bring ids and classes along.
            ids: N names; the numbers from 0 if none are given.
            columns: what else is known of each image, N values a column.
            encoder: fingerprint of what made the vectors, so that others are refused.

        Raises:
            ValueError: vectors are no finite matrix, or ids or columns are not N.
        """
        return cls(collect(*unit_vectors(vectors, ids, columns), encoder=encoder))

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True) -> Index:
        """Return the index in a folder, as `lookalike embed` or `save` wrote it.

        Args:
            path: the folder.
            verify: whether to compare the vectors with their digests, which reads all of them.

        Raises:
            UsageError: there is none, or it is of a newer format.
            DataError: a file of it is damaged.
        """
        return cls(open_collection(path, verify=verify))

    def __repr__(self) -> str:
        found = self.collection
        return f"Index({len(self):,} images, {found.record.dim} wide, {found.path})"

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.collection)

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the images."""
        return tuple(self.collection.ids[row] for row in self.collection.present)

    @property
    def path(self) -> Path | None:
        """The folder; None in memory."""
        return None if self.collection.path is IN_MEMORY else self.collection.path

    @cached_property
    def encoder(self) -> Encoder:
        """What the collection keeps to encode queries with.

        Raises:
            UsageError: it keeps none, or not the one that made its vectors.
        """
        if self.path is None or not (self.path / MODEL).is_dir():
            raise UsageError(
                f"{self.collection.path} keeps no encoder to turn images into vectors\n"
                "  fix: search with vectors, or name the encoder: search(images, encoder=...)"
            )
        encoder = load_encoder(self.path / MODEL)
        self.collection.require_encoder(encoder.fingerprint(), what=str(self.path / MODEL))
        return encoder

    def search(
        self,
        queries: Picture | Sequence[Picture] | npt.NDArray[Any] | Embeddings,
        k: int = 10,
        *,
        where: Where | None = None,
        encoder: Encoder | str | None = None,
        exact: bool = False,
    ) -> Hits:
        """Return the nearest images of some queries.

        Args:
            queries: vectors, (Q, D) or (D,) floating point, or embeddings; or images as
                `Encoder.encode` takes them.
            k: neighbours of each; all images where there are fewer.
            where: values that columns of the neighbours must hold: {"class": "cat"}, or a list of
                values of which any will do. Such a search is exact.
            encoder: what encodes images, or made the vectors (its fingerprint will do); the
                collection's own if none is given.
            exact: pass over the engine if there is one.

        Raises:
            UsageError: the queries are of another encoder, a column is not there, or nothing is
                left to search.
            DataError: an image cannot be read.
            ValueError: k < 1, or vectors are of another width.
        """
        names, vectors, asked = self._encode(queries, encoder)
        return self._find(vectors, names, k, where=where, exact=exact, asked=asked)

    def search_ids(
        self,
        ids: str | Sequence[str],
        k: int = 10,
        *,
        where: Where | None = None,
        exact: bool = False,
    ) -> Hits:
        """Return the nearest images of images of the collection, themselves left out.

        Args:
            ids: their names.
            k: neighbours of each.
            where: as in `search`.
            exact: likewise.

        Raises:
            UsageError: an id or column is not there, or nothing is left to search.
            ValueError: k < 1.
        """
        names = [ids] if isinstance(ids, str) else list(ids)
        rows = np.array([self.collection.rows_of([name])[0] for name in names], dtype=np.int64)
        vectors = torch.from_numpy(self.collection.vectors[rows].astype(np.float32))
        return self._find(vectors, tuple(names), k, where=where, exact=exact, own=rows)

    def add(
        self,
        vectors: npt.NDArray[Any] | Embeddings,
        *,
        ids: Sequence[str | Path] | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        encoder: str | None = None,
    ) -> None:
        """Add images; nothing is built again. Arguments are those of `build`.

        Raises:
            UsageError: the vectors are of another encoder, ids are there already, or a column
                holds values of another kind.
            ValueError: as in `build`, or the vectors are of another width.
        """
        rows, table = unit_vectors(vectors, ids, columns)
        if rows.shape[1] != self.collection.record.dim:
            raise ValueError(
                f"vectors must have the shape (n, {self.collection.record.dim}), got {rows.shape}"
            )
        if twice := set(self.ids) & set(table.column(ID).to_pylist()):
            raise UsageError(
                f"{self.collection.path} has {len(twice):,} of these images already, for example "
                f"{min(twice)}\n  fix: remove them first, or give other ids"
            )
        if self.path is not None:
            self.collection = append_rows(self.collection, [rows], table, encoder=encoder)
        else:
            self.collection = grown(self.collection, rows, table, encoder=encoder)

    def remove(self, ids: str | Sequence[str]) -> None:
        """Remove images; nothing is built again.

        Raises:
            UsageError: an id is not there.
        """
        rows = self.collection.rows_of([ids] if isinstance(ids, str) else ids)
        if self.path is not None:
            self.collection = remove_rows(self.collection, rows)
        else:
            record = self.collection.record
            removed = tuple(sorted({*record.removed, *rows.tolist()}))
            self.collection = replace(self.collection, record=replace(record, removed=removed))

    def tune(
        self, engine: Literal["exact", "hnsw", "ivfpq"], *, recall: float = 0.95, seed: int = 0
    ) -> Engine | None:
        """Give the index an approximate engine, or take it away.

        Args:
            engine: exact for none; hnsw for speed; ivfpq where memory is short.
            recall: share of the 10 nearest images to find, in (0, 1).
            seed: of the images that it is measured on.

        Returns:
            the engine with what was measured; None for exact.

        Raises:
            UsageError: there are too few images to need one.
            LookalikeError: faiss is not installed, or the recall is out of reach.
        """
        _check.one_of(("exact", "hnsw", "ivfpq"), engine=engine)
        if engine == "exact":
            self._engine = None
            if self.path is not None:
                self.collection = remove_engine(self.collection)
            return None
        kind: Kind = engine
        found = self.collection
        self._engine = build_engine(found.vectors, found.present, kind, recall=recall, seed=seed)
        if self.path is not None:
            content = pack(self._engine)
            self.collection = write_engine(found, content, self._engine.to_json())
        return self._engine

    def save(self, path: str | Path, *, dtype: Precision | None = None) -> Index:
        """Write the images that were not removed to a new folder, without an engine.

        The same call goes on where an earlier one stopped.

        Args:
            path: the folder.
            dtype: to store vectors in; as they are if none is given.

        Returns:
            the index in that folder.

        Raises:
            UsageError: there is another one already.
            LookalikeError: no space is left.
        """
        found, start = self.collection, 0
        parts = []
        for part in found.record.parts:
            rows = found.present[(found.present >= start) & (found.present < start + part.rows)]
            parts.append((part, _blocks(found.vectors, rows), found.table.take(rows)))
            start += part.rows
        kind = dtype or found.record.dtype
        written = _begun(Path(path), found, parts, kind)
        if written is None:
            first, blocks, table = parts[0]
            model = found.path / MODEL
            written = write_collection(
                path,
                blocks,
                table,
                dim=found.record.dim,
                dtype=kind,
                encoder=found.record.encoder,
                precision=found.record.precision,
                model=model if model.is_dir() else None,
                source=first.source,
                split=first.split,
                prefix=first.prefix,
            )
        for part, blocks, table in parts[len(written.record.parts) :]:
            written = append_rows(
                written,
                blocks,
                table,
                source=part.source,
                split=part.split,
                prefix=part.prefix,
            )
        return Index(written)

    def _encode(
        self,
        queries: Picture | Sequence[Picture] | npt.NDArray[Any] | Embeddings,
        encoder: Encoder | str | None,
    ) -> tuple[tuple[str, ...], Tensor, tuple[Picture, ...]]:
        """Return names and unit vectors of queries, (Q, D), and their images if it is images."""
        maker = encoder if isinstance(encoder, str) or encoder is None else encoder.fingerprint()
        self.collection.require_encoder(maker, what="the query")
        if isinstance(queries, Embeddings):
            return queries.ids, unit_rows(torch.from_numpy(queries.vectors)), ()
        if isinstance(queries, np.ndarray) and queries.dtype.kind == "f":
            rows = torch.from_numpy(np.atleast_2d(queries).astype(np.float32))
            if rows.ndim != 2 or not bool(rows.isfinite().all()):
                raise ValueError(f"queries must be finite (n, D) vectors, got {queries.shape}")
            return tuple(map(str, range(len(rows)))), unit_rows(rows), ()
        chosen = self.encoder if encoder is None or isinstance(encoder, str) else encoder
        images = tuple(as_list(queries))
        named = {n: str(one) for n, one in enumerate(images) if isinstance(one, str | Path)}
        names = tuple(named.get(n, f"image {n}") for n in range(len(images)))
        return names, torch.from_numpy(chosen.encode(images)), images

    def _find(
        self,
        queries: Tensor,
        names: tuple[str, ...],
        k: int,
        *,
        where: Where | None,
        exact: bool,
        asked: tuple[Picture | int, ...] = (),
        own: Rows | None = None,
    ) -> Hits:
        """Return the nearest; of a query that is row `own` of the collection, not itself."""
        _check.at_least(1, k=k)
        found = self.collection
        rows = found.rows_where(where) if where else found.present
        count = min(k + (own is not None), len(rows))
        if not len(rows):
            raise UsageError(
                f"{found.path} has no image {_in_words(where) if where else 'at all'}\n"
                f"  fix: {'look for something else' if where else 'add images to it'}"
            )
        engine = None if exact or where else self._read_engine()
        began = time.perf_counter()
        if engine is None:
            everything = len(rows) == len(found.vectors)
            best = nearest(queries, found.vectors, count, rows=None if everything else rows)
        else:
            best = self._propose(engine, queries, count)
        cosines, places = best[0].clamp(-1, 1).numpy(), best[1].numpy()
        if own is not None:
            cosines, places = (each[:, :k] for each in without(own, cosines, places))
            asked = tuple(own.tolist())
        seconds = time.perf_counter() - began
        how = engine.kind if engine else "exact"
        told = make_hits(found.table, cosines, places, names, how=how, seconds=seconds)
        return replace(told, collection=found, asked=asked)

    def _read_engine(self) -> Engine | None:
        if self._engine is None and self.collection.record.engine is not None:
            content, known = read_engine(self.collection)
            self._engine = unpack(content, **known)
        return self._engine

    def _propose(self, engine: Engine, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return what the engine finds, and what exact search finds among rows it does not know."""
        vectors = self.collection.vectors
        kept = np.zeros(len(vectors), dtype=bool)
        kept[self.collection.present] = True
        proposed = propose(engine, queries, k)
        later = self.collection.present[self.collection.present >= engine.rows]
        if len(later):
            _, more = nearest(queries, vectors, min(k, len(later)), rows=later)
            proposed = np.concatenate([proposed, more.numpy()], axis=1)
        if proposed.shape[1] < k:
            return nearest(queries, vectors, k, rows=self.collection.present)
        values, rows = compare(queries, vectors, proposed, k, kept=kept)
        short = (rows < 0).any(1)  # too much of what it proposed was removed
        if bool(short.any()):
            whole = nearest(queries[short], vectors, k, rows=self.collection.present)
            values[short], rows[short] = whole
        return values, rows


def _begun(
    path: Path, found: Collection, parts: Sequence[tuple[Part, Any, Any]], dtype: Precision
) -> Collection | None:
    """Return what an earlier call wrote to a folder before it was cut short, if it did.

    Raises:
        UsageError: there is a collection of something else.
    """
    if not (path / RECORD).exists():
        return None
    there, start = open_collection(path), 0
    own, own_record = there.record, found.record
    same = (
        (own.dim, own.dtype, own.encoder) == (own_record.dim, dtype, own_record.encoder)
        and not own.removed
        and own.engine is None
        and len(own.parts) <= len(parts)
        and path.resolve() != found.path.resolve()
    )
    for part, (asked, blocks, table) in zip(own.parts, parts, strict=False):
        rows = slice(start, start := start + part.rows)
        whence = (part.source, part.split, part.prefix) == (
            asked.source,
            asked.split,
            asked.prefix,
        )
        same = same and whence and there.ids[rows] == tuple(table.column(ID).to_pylist())
        digest = hashlib.sha256()
        for block in blocks if same else ():
            digest.update(np.ascontiguousarray(block, dtype=np.dtype(dtype).newbyteorder("<")).data)
        same = same and digest.hexdigest() == part.vectors
    if not same:
        raise UsageError(f"{path} is a collection already\n  fix: name another folder")
    return there


def _blocks(vectors: Vectors, rows: Rows) -> Iterator[Vectors]:
    return (vectors[rows[at : at + _BLOCK]] for at in range(0, len(rows), _BLOCK))


def _in_words(where: Where) -> str:
    return "where " + " and ".join(f"{name} is {value}" for name, value in where.items())
