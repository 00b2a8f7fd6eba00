"""An engine keeps the recall it was asked for on images it has never seen, or says it cannot."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from lookalike.errors import LookalikeError, UsageError
from lookalike.neighbors import approximate as module
from lookalike.neighbors.approximate import build_engine, compare, pack, propose, unpack
from lookalike.neighbors.exact import nearest

from .conftest import unit


def clustered(rows: int, dim: int = 16, *, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(40, dim))
    vectors = centres[random.integers(0, 40, rows)] + random.normal(size=(rows, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture(autouse=True)
def small_engines(monkeypatch):
    monkeypatch.setitem(module.FEWEST, "ivfpq", 3000)
    monkeypatch.setattr(module, "ADDED", 1000)


@pytest.mark.parametrize("kind", ["hnsw", "ivfpq"])
@pytest.mark.parametrize("recall", [0.5, 0.95])
def test_strangers_find_what_was_promised(kind, recall):
    """Queries drawn apart, which neither built nor tuned the engine."""
    vectors = clustered(12_000)
    present = np.flatnonzero(np.arange(12_000) % 10)
    engine = build_engine(vectors, present, kind, recall=recall)
    assert engine.recall >= recall
    strangers = torch.from_numpy(clustered(500, seed=1).astype(np.float32))
    wanted, _ = nearest(strangers, vectors, 10, rows=present)
    values, rows = compare(strangers, vectors, propose(engine, strangers, 10), 10)
    shares = (values >= wanted[:, -1:] - 1e-6).double().mean(1)
    assert shares.mean() >= recall - 3 * shares.std() / 500**0.5
    assert (rows % 10 > 0).all(), "only rows that were given are found"


def test_every_row_is_in_it_in_the_end():
    vectors = clustered(2000)
    engine = build_engine(vectors, np.arange(2000), "hnsw", recall=0.9)
    assert engine.index.ntotal == 2000
    queries = torch.from_numpy(vectors.astype(np.float32))
    _, rows = compare(queries, vectors, propose(engine, queries, 1), 1)
    assert (rows[:, 0] == torch.arange(2000)).double().mean() > 0.99, "each is its own nearest"


def test_what_is_out_of_reach_is_said(monkeypatch):
    monkeypatch.setattr(module, "_ways", lambda kind, index: iter([(1, 1)]))
    with pytest.raises(LookalikeError, match=r"finds 0\.\d+ .* at most, and 0\.999 was asked"):
        build_engine(unit(4000, 32), np.arange(4000), "hnsw", recall=0.999)


def test_it_is_the_same_after_a_file():
    vectors = clustered(1500)
    engine = build_engine(vectors, np.arange(1500), "hnsw")
    again = unpack(pack(engine), **engine.to_json())
    queries = torch.from_numpy(unit(20, 16))
    assert np.array_equal(propose(again, queries, 5), propose(engine, queries, 5))
    assert again.line() == engine.line()
    assert f"finds {engine.recall:.3f} of the 10 nearest images, 0.95" in engine.line()


def test_comparing_sorts_what_was_proposed(monkeypatch):
    monkeypatch.setattr(module, "_COMPARED", 100)  # two queries at a time
    vectors, queries = unit(50), unit(7, seed=1)
    proposed = np.stack([np.random.default_rng(n).permutation(50)[:6] for n in range(7)])
    proposed[:, 2] = -1
    kept = np.ones(50, dtype=bool)
    kept[proposed[:, 0]] = False
    values, rows = compare(torch.from_numpy(queries), vectors, proposed, 5, kept=kept)
    for query in range(7):
        counts = [row for row in proposed[query] if row >= 0 and kept[row]]
        order = sorted(counts, key=lambda row: -float(queries[query] @ vectors[row]))
        assert [row for row in rows[query].tolist() if row >= 0] == order
        assert rows[query, len(order) :].tolist() == [-1] * (5 - len(order))
        np.testing.assert_allclose(
            values[query, : len(order)], vectors[order] @ queries[query], atol=1e-6
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "hnsw", "rows": 999}, "999 images are too few for hnsw, which wants 1,000"),
        ({"kind": "tree"}, "kind must be one of"),
        ({"recall": 1.0}, "recall must be between 0 and 1"),
        ({"k": 0}, "k must be at least 1"),
    ],
)
def test_refuses_what_cannot_be(settings, message):
    rows = settings.pop("rows", 2000)
    with pytest.raises((ValueError, UsageError), match=message):
        build_engine(unit(rows), np.arange(rows), **{"kind": "hnsw"} | settings)


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(LookalikeError, match=r"pip install 'lookalike\[search\]'"):
        build_engine(unit(1000), np.arange(1000), "hnsw")
