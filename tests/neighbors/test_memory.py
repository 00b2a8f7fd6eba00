"""Vectors in memory get a length of 1, distinct names, and a table."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.embeddings import Embeddings
from lookalike.errors import UsageError
from lookalike.neighbors.memory import collect, grown, unit_vectors

from .conftest import unit


def test_vectors_get_length_one_and_names():
    rows, table = unit_vectors(7 * unit(3).astype(np.float64), None, {"year": [1, 2, 3]})
    np.testing.assert_allclose(rows, unit(3), atol=1e-6)
    assert rows.dtype == np.float32
    assert table.to_pydict() == {"id": ["0", "1", "2"], "year": [1, 2, 3]}


def test_embeddings_bring_their_names_and_classes():
    given = Embeddings(unit(3), ("a", "b", "c"), np.array([1, -1, 0]), ("cat", "dog"))
    _, table = unit_vectors(given, None, None)
    assert table.to_pydict() == {"id": ["a", "b", "c"], "class": ["dog", None, "cat"]}


def test_more_rows_follow():
    first = collect(*unit_vectors(unit(3), list("abc"), None), encoder="a" * 64)
    more, table = unit_vectors(unit(2, seed=1), list("de"), {"year": [1, 2]})
    both = grown(first, more, table, encoder=None)
    assert both.ids == tuple("abcde")
    assert both.record.rows == 5
    np.testing.assert_allclose(both.vectors, [*unit(3), *unit(2, seed=1)], atol=1e-6)
    assert both.table.column("year").to_pylist() == [None, None, None, 1, 2]
    with pytest.raises(UsageError, match="is of encoder bbbb"):
        grown(first, more, table, encoder="b" * 64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), None, None), r"vectors must be finite, .* got float64 \(3,\)"),
        ((np.zeros((3, 2), int), None, None), "got int64"),
        ((np.full((3, 2), np.inf), None, None), "must be finite"),
        ((unit(3), ["a"], None), "ids must be 3, one a vector, got 1"),
        ((unit(3), None, {"year": [1]}), "year must be 3, one a vector, got 1"),
        ((unit(3), ["a", "b", "a"], None), "ids must all differ, and 1 come again"),
    ],
)
def test_refuses_what_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        unit_vectors(*arguments)
