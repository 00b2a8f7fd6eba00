"""Exact search gives what sorting all products gives, however the work is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lookalike.neighbors import exact
from lookalike.neighbors.exact import nearest

from .conftest import unit


def by_sorting(queries, vectors, k):
    products = queries.astype(np.float64) @ vectors.astype(np.float64).T
    where = np.argsort(-products, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(products, where, axis=1), where


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    for name, value in {"QUERIES": 7, "NARROWEST": 16, "WIDEST": 64, "GROUP": 4}.items():
        monkeypatch.setattr(exact, name, value)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("k", [1, 3, 16, 17, 200])
def test_it_is_what_sorting_gives(dtype, k):
    queries, vectors = unit(20, 8, seed=1), unit(200, 8, seed=2).astype(dtype)
    values, where = nearest(torch.from_numpy(queries), vectors, k)
    wanted, places = by_sorting(queries, vectors, k)
    np.testing.assert_allclose(values, wanted, atol=1e-6)
    assert np.array_equal(where, places)


@given(seed=st.integers(0, 10**6), count=st.integers(1, 150), levels=st.integers(1, 4))
def test_ties_lose_no_value(seed, count, levels):
    """With few distinct numbers most products are equal: the values are still the largest."""
    random = np.random.default_rng(seed)
    vectors = random.integers(-levels, levels + 1, (count, 2)).astype(np.float32)
    queries = random.integers(-levels, levels + 1, (3, 2)).astype(np.float32)
    k = int(random.integers(1, count + 1))
    values, where = nearest(torch.from_numpy(queries), vectors, k)
    assert np.array_equal(values, by_sorting(queries, vectors, k)[0])
    assert np.array_equal(np.take_along_axis(queries @ vectors.T, where.numpy(), 1), values)
    assert all(len(set(row)) == k for row in where.tolist()), "no row comes twice"


def test_rows_that_rise_towards_the_end_fill_the_pool_again_and_again():
    """Every later vector is nearer, so nothing is below the bound."""
    vectors = np.linspace(-1, 1, 300, dtype=np.float32)[:, None]
    values, where = nearest(torch.ones(9, 1), vectors, 4)
    assert where.tolist() == [[299, 298, 297, 296]] * 9
    assert np.array_equal(values[0], vectors[[299, 298, 297, 296], 0])


def test_some_rows_alone_are_searched():
    queries, vectors = unit(5, 8, seed=1), unit(100, 8, seed=2)
    rows = np.arange(3, 100, 3)
    values, where = nearest(torch.from_numpy(queries), vectors, 6, rows=rows)
    wanted, places = by_sorting(queries, vectors[rows], 6)
    np.testing.assert_allclose(values, wanted, atol=1e-6)
    assert np.array_equal(where, rows[places])


def test_a_vector_that_is_no_number_shows():
    vectors = unit(100, 8)
    vectors[90] = np.nan
    values, where = nearest(torch.from_numpy(unit(2, 8, seed=1)), vectors, 2)
    assert where[:, 0].tolist() == [90, 90]
    assert values[:, 0].isnan().all()


def test_no_query_is_no_answer():
    values, where = nearest(torch.zeros(0, 8), unit(10), 3)
    assert values.shape == where.shape == (0, 3)


@pytest.mark.parametrize(
    ("queries", "k", "message"),
    [
        (torch.zeros(2, 9), 1, r"queries must have the shape \(n, 8\), got \(2, 9\)"),
        (torch.zeros(8), 1, "queries must have the shape"),
        (torch.zeros(2, 8), 0, r"k must be in \[1, 10\], got 0"),
        (torch.zeros(2, 8), 11, r"k must be in \[1, 10\], got 11"),
    ],
)
def test_refuses_what_cannot_be(queries, k, message):
    with pytest.raises(ValueError, match=message):
        nearest(queries, unit(10), k)
