"""A collection in memory: vectors that somebody has, with names for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lookalike.embeddings import Embeddings
from lookalike.neighbors.collection import CLASS, ID, Collection, Part, Record, Vectors
from lookalike.pairwise.similarity import unit_rows

IN_MEMORY = Path("this index")  # as messages call it


def collect(rows: Vectors, table: Any, *, encoder: str | None) -> Collection:
    """Return a collection of unit vectors and their table, made by `encoder`, its fingerprint."""
    part = Part(rows=len(rows), vectors="", table="", digest="")
    record = Record(dim=rows.shape[1], dtype="float32", encoder=encoder, parts=(part,))
    return Collection(IN_MEMORY, record, rows, table)


def grown(collection: Collection, rows: Vectors, table: Any, *, encoder: str | None) -> Collection:
    """Return a collection in memory with more rows."""
    import pyarrow  # noqa: PLC0415

    collection.require_encoder(encoder, what="what is to be added")
    part = Part(rows=len(rows), vectors="", table="", digest="")
    record = replace(collection.record, parts=(*collection.record.parts, part))
    together = pyarrow.concat_tables([collection.table, table], promote_options="permissive")
    return replace(
        collection,
        record=record,
        vectors=np.concatenate([collection.vectors, rows]),
        table=together,
    )


def unit_vectors(
    vectors: npt.NDArray[Any] | Embeddings,
    ids: Sequence[str | Path] | None,
    columns: Mapping[str, Sequence[Any]] | None,
) -> tuple[Vectors, Any]:
    """Return unit vectors, (N, D) float32, and their table.

    Args:
        vectors: (N, D) of any length, or embeddings, which bring ids and classes along.
        ids: N names; the numbers from 0 if none are given.
        columns: what else is known of each image, N values a column.

    Raises:
        ValueError: vectors are no finite matrix, or ids or columns are not N, or ids not distinct.
    """
    import pyarrow  # noqa: PLC0415  half a second

    told: dict[str, Sequence[Any]] = dict(columns or {})
    if isinstance(vectors, Embeddings):
        ids = ids or vectors.ids
        if vectors.class_names:
            names = [vectors.class_names[label] if label >= 0 else None for label in vectors.labels]
            told.setdefault(CLASS, names)
        vectors = vectors.vectors
    matrix = np.asarray(vectors)
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or not np.isfinite(matrix).all():
        raise ValueError(
            f"vectors must be finite, (n, D) floating point, got {matrix.dtype} {matrix.shape}"
        )
    named = list(map(str, range(len(matrix)) if ids is None else ids))
    for name, values in {"ids": named, **told}.items():
        if len(values) != len(matrix):
            raise ValueError(f"{name} must be {len(matrix)}, one a vector, got {len(values)}")
    if len(set(named)) < len(named):
        raise ValueError(f"ids must all differ, and {len(named) - len(set(named))} come again")
    table = pyarrow.table({ID: pyarrow.array(named, pyarrow.string())})
    for name, values in told.items():
        table = table.append_column(name, pyarrow.array(values))
    return unit_rows(torch.from_numpy(matrix)).float().numpy(), table
