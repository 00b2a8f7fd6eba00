"""What was found is told with ids, cosines and columns, a query at a time."""

from __future__ import annotations

import json

import numpy as np

from lookalike.neighbors.hits import make_hits, without

from .conftest import animals


def found():
    cosines = np.array([[0.9, 0.8], [0.7, -np.inf]], np.float32)
    rows = np.array([[3, 1], [2, -1]])
    return make_hits(animals(5), cosines, rows, ("a", "b"), how="exact", seconds=0.5)


def test_each_query_has_its_own_neighbours():
    hits = found()
    assert len(hits) == 2
    assert hits.ids == (("003.jpg", "001.jpg"), ("002.jpg",))
    assert [[name for name, _ in each] for each in hits] == [["003.jpg", "001.jpg"], ["002.jpg"]]
    assert hits.columns["class"] == (("cat", "dog"), (None,))
    assert hits.columns["year"] == ((2003, 2001), (2002,))


def test_lines_and_json_tell_the_same():
    assert found().lines() == [
        "a",
        "   0.900  003.jpg  (cat)",
        "   0.800  001.jpg  (dog)",
        "b",
        "   0.700  002.jpg",
        "(exact, 500 ms)",
    ]
    told = json.loads(json.dumps(found().to_json()))
    assert told["how"] == "exact"
    first = told["queries"][0]
    assert first["query"] == "a"
    assert [each["id"] for each in first["neighbours"]] == ["003.jpg", "001.jpg"]
    assert [each["class"] for each in first["neighbours"]] == ["cat", "dog"]
    assert len(told["queries"][1]["neighbours"]) == 1


def test_no_query_is_no_line():
    hits = make_hits(
        animals(5), np.zeros((0, 2)), np.zeros((0, 2), int), (), how="exact", seconds=0
    )
    assert hits.ids == ()
    assert hits.to_json()["queries"] == []


def test_a_query_is_not_its_own_neighbour():
    rows = np.array([[4, 7, 2], [1, 2, 3]])
    cosines = np.array([[1.0, 0.9, 0.8], [0.6, 0.5, 0.4]], np.float32)
    left, places = without(np.array([7, 9]), cosines, rows)
    assert places.tolist() == [[4, 2, -1], [1, 2, 3]]
    np.testing.assert_allclose(left, [[1.0, 0.8, -np.inf], [0.6, 0.5, 0.4]], rtol=1e-6)
