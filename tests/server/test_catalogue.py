"""What the server tells of a collection is what is in it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lookalike.neighbors.index import Index
from lookalike.server.catalogue import ON_MAP, Catalogue, conditions


def vectors(rows: int, dim: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)


COLUMNS = {
    "year": [2000 + row % 3 for row in range(30)],
    "class": ["cat", "dog", None] * 10,
    "good": [row % 5 == 0 for row in range(30)],
    "number": list(range(30)),  # tells each image from the others: no use as a filter
    "same": ["always"] * 30,
    "score": [row % 2 / 3 for row in range(30)],
}


def test_filters_are_the_columns_that_group_the_images_with_their_counts():
    index = Index.build(vectors(30), columns=COLUMNS)
    index.remove(["0", "1"])
    filters = {each.column: each.values for each in Catalogue(index, uploads=False).filters}
    assert list(filters) == ["class", "year", "good"]
    for name, values in filters.items():
        written = [str(each).lower() for each in COLUMNS[name][2:] if each is not None]
        assert {each.value: each.images for each in values} == Counter(written)
        counts = [each.images for each in values]
        assert counts == sorted(counts, reverse=True)


def test_each_value_of_a_filter_finds_as_many_images_as_it_says():
    index = Index.build(vectors(30), columns=COLUMNS)
    for filter in Catalogue(index, uploads=False).filters:
        for value in filter.values:
            rows = index.collection.rows_where({filter.column: [value.value]})
            assert len(rows) == value.images


def test_ids_and_numbers_with_a_fraction_are_not_filtered_by():
    catalogue = Catalogue(Index.build(vectors(30), columns=COLUMNS), uploads=False)
    assert [name for name in ("id", "score", "nothing") if catalogue.filterable(name)] == []


def test_the_map_holds_as_much_of_the_variance_as_two_singular_vectors_do():
    index = Index.build(vectors(40))
    index.remove("7")
    plane = Catalogue(index, uploads=False).map
    kept = index.collection.vectors[index.collection.present].astype(np.float64)
    left, singular, _ = np.linalg.svd(kept - kept.mean(0), full_matrices=False)
    assert plane.share == pytest.approx((singular[:2] ** 2).sum() / (singular**2).sum(), abs=1e-4)
    points = np.stack([plane.x, plane.y], axis=1)
    wanted = left[:, :2] * singular[:2]
    wanted /= np.abs(wanted).max()
    np.testing.assert_allclose(np.abs(points), np.abs(wanted), atol=2e-3)
    assert [each.id for each in plane.images] == [str(row) for row in range(40) if row != 7]


def test_of_many_images_some_thousands_are_on_the_map_the_same_each_time():
    index = Index.build(vectors(ON_MAP + 50, 3))
    first, second = (Catalogue(index, uploads=False).map for _ in range(2))
    assert len({each.number for each in first.images}) == ON_MAP == len(first.x) == len(first.y)
    assert first == second


def test_two_images_make_no_map():
    assert Catalogue(Index.build(vectors(2)), uploads=False).map.images == []


def test_conditions_come_together_by_column():
    assert conditions(["class=cat", "year=2001", "class=a=b", "class="]) == {
        "class": ["cat", "a=b", ""],
        "year": ["2001"],
    }
    for text in ("", "cat", "=cat"):
        with pytest.raises(ValueError, match="COLUMN=VALUE"):
            conditions([text])
