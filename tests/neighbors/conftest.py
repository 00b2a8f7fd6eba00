"""Collections small enough for a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow
import pytest

from lookalike.neighbors.collection import Collection
from lookalike.neighbors.writing import write_collection


def unit(rows: int, dim: int = 8, *, seed: int = 0) -> np.ndarray:
    """Return (rows, dim) float32 vectors of length 1."""
    vectors = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def animals(rows: int, *, first: int = 0) -> pyarrow.Table:
    """Return a table whose classes take turns: cat, dog, none."""
    numbers = range(first, first + rows)
    columns = {
        "id": ([f"{number:03d}.jpg" for number in numbers], pyarrow.string()),
        "class": ([("cat", "dog", None)[number % 3] for number in numbers], pyarrow.string()),
        "year": ([2000 + number for number in numbers], pyarrow.int64()),
    }
    return pyarrow.table({name: pyarrow.array(*column) for name, column in columns.items()})


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    """Return a collection of 12 images, written in two blocks."""
    vectors = unit(12)
    return write_collection(
        tmp_path / "photos.vec",
        [vectors[:7], vectors[7:]],
        animals(12),
        dim=8,
        dtype="float32",
        encoder="a" * 64,
        source="somewhere",
    )
