"""Approximate search with faiss, tuned until held-out queries find what exact search finds.

What an index promises depends on the vectors in it, so no setting has a default: some images are
kept out while the index is built, and asked for as strangers. On one half of them the search is
widened until its recall, less twice its standard error, is what was asked for; on the other half
it is measured. Only then do they join the index. Cosines are exact: faiss proposes, and the stored
vectors of what it proposes are compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lookalike import _check
from lookalike.errors import LookalikeError, UsageError
from lookalike.neighbors.collection import Rows, Vectors
from lookalike.neighbors.exact import nearest

Kind = Literal["hnsw", "ivfpq"]
FEWEST = {"hnsw": 1000, "ivfpq": 10_000}  # images, below which exact search is as fast or surer
HELD_OUT = 1000  # queries at most, and a twentieth of the images at most
ADDED = 2**16  # vectors added at a time: they are float32 then
LINKS, BREADTH = 32, 128  # of HNSW as it is built
TRAINED_ON = 200_000  # images at most that IVF-PQ learns its cells and codes from
_COMPARED = 2**25  # numbers of proposed vectors in memory at a time


class Engine(NamedTuple):
    """A faiss index, and how to search it.

    kind: hnsw or ivfpq.
    index: of faiss; it tells rows of the collection.
    rows: those below this one are in it.
    width: how widely to search: HNSW's efSearch, IVF's nprobe.
    shortlist: rows that it proposes for each neighbour asked for.
    asked: recall that was asked for.
    recall: what was measured, at k neighbours.
    k: likewise.
    queries: how many it was measured on.
    faster: how many times as fast as exact search it was on them, here and now.
    """

    kind: Kind
    index: Any
    rows: int
    width: int
    shortlist: int
    asked: float
    recall: float
    k: int
    queries: int
    faster: float

    def to_json(self) -> dict[str, Any]:
        """Return what a collection keeps of it beside the file of the index."""
        return {name: value for name, value in self._asdict().items() if name != "index"}

    def line(self) -> str:
        """Return what was measured, in a line."""
        width = "efSearch" if self.kind == "hnsw" else "nprobe"
        return (
            f"{self.kind} finds {self.recall:.3f} of the {self.k} nearest images, {self.asked:g} "
            f"were asked for: measured on {self.queries:,} images kept out of it, "
            f"{self.faster:.1f} times as fast as exact search ({width} {self.width}, "
            f"{self.shortlist} compared for each)"
        )


def faiss() -> Any:
    """Return the package faiss.

    Raises:
        LookalikeError: it is not installed.
    """
    try:
        import faiss  # noqa: PLC0415
    except ImportError as problem:
        raise LookalikeError(
            "approximate search needs faiss\n  fix: pip install 'lookalike[search]', or search "
            "exactly"
        ) from problem
    return faiss


def build_engine(
    vectors: Vectors, present: Rows, kind: Kind, *, recall: float = 0.95, k: int = 10, seed: int = 0
) -> Engine:
    """Build an index over some rows, and tune it.

    Args:
        vectors: (N, D) rows of length 1.
        present: (M,) those to index.
        kind: hnsw is fast and takes more memory than the vectors; ivfpq takes little.
        recall: share of the k nearest images to find, in (0, 1).
        k: neighbours that recall is of.
        seed: of the draw of held-out images.

    Raises:
        UsageError: there are too few images to need one.
        LookalikeError: faiss is not installed, or the recall is out of its reach.
        ValueError: an argument is out of its range.
    """
    _check.one_of(tuple(FEWEST), kind=kind)
    _check.at_least(1, k=k)
    if not 0 < recall < 1:
        raise ValueError(f"recall must be between 0 and 1, got {recall}")
    if len(present) < FEWEST[kind]:
        raise UsageError(
            f"{len(present):,} images are too few for {kind}, which wants {FEWEST[kind]:,}\n"
            "  fix: search them exactly, as it is done without an engine; it is fast"
        )
    shuffled = np.random.default_rng(seed).permutation(present)
    held = shuffled[: min(HELD_OUT, len(present) // 20)]
    rest = np.sort(shuffled[len(held) :])
    index = _start(vectors, rest, kind)
    _add(index, vectors, rest)
    queries = torch.from_numpy(vectors[held].astype(np.float32))
    began = time.perf_counter()
    wanted, _ = nearest(queries, vectors, k, rows=rest)
    exactly, half, measured = time.perf_counter() - began, len(held) // 2, 0.0
    for width, shortlist in _ways(kind, index):
        engine = Engine(kind, index, len(vectors), width, shortlist, recall, 0.0, k, 0, 0.0)
        began = time.perf_counter()
        found, _ = compare(queries, vectors, propose(engine, queries, k), k)
        faster = exactly / (time.perf_counter() - began)
        share = (found >= wanted[:, -1:] - 1e-6).double().mean(1)  # (Q,) equal ones count
        tuned, measured = share[:half], float(share[half:].mean())
        if tuned.mean() - 2 * tuned.std() / half**0.5 >= recall and measured >= recall:
            _add(index, vectors, held)
            count = len(held) - half
            return engine._replace(recall=measured, queries=count, faster=faster)
    raise LookalikeError(
        f"{kind} finds {measured:.3f} of the nearest images at most, and {recall} was asked for\n"
        f"  fix: {'--engine hnsw, ' if kind == 'ivfpq' else ''}a lower --recall, or --engine exact"
    )


def pack(engine: Engine) -> bytes:
    """Return the file of an index."""
    content: bytes = faiss().serialize_index(engine.index).tobytes()
    return content


def unpack(content: bytes, **known: Any) -> Engine:
    """Return an engine from the file of its index and what `to_json` told."""
    index = faiss().deserialize_index(np.frombuffer(content, np.uint8))
    return Engine(index=index, **known)


def propose(engine: Engine, queries: Tensor, k: int) -> Rows:
    """Return rows that may be the k nearest, (Q, S); -1 where fewer were found."""
    count = min(k * engine.shortlist, engine.index.ntotal)
    if engine.kind == "hnsw":
        settings = faiss().SearchParametersHNSW(efSearch=max(engine.width, count))
    else:
        settings = faiss().SearchParametersIVF(nprobe=engine.width)
    _, rows = engine.index.search(queries.numpy(), count, params=settings)
    found: Rows = rows
    return found


def compare(
    queries: Tensor, vectors: Vectors, proposed: Rows, k: int, *, kept: Any = None
) -> tuple[Tensor, Tensor]:
    """Return the k nearest of the rows that were proposed, by their stored vectors.

    Args:
        queries: (Q, D) float32.
        vectors: (N, D).
        proposed: (Q, S) rows, -1 where there is none; S >= k.
        k: how many.
        kept: (N,) truth of the rows that count; None where all do.

    Returns:
        (Q, k) products, falling, and rows; -inf and -1 where fewer count.
    """
    values, rows = [queries.new_zeros(0, k)], [torch.zeros(0, k, dtype=torch.int64)]
    step = max(1, _COMPARED // max(1, proposed.shape[1] * vectors.shape[1]))
    for start in range(0, len(queries), step):
        some = proposed[start : start + step]
        keys = torch.from_numpy(vectors[some.clip(0)]).float()  # (q, S, D)
        products = torch.einsum("qd,qsd->qs", queries[start : start + step], keys)
        counts = some >= 0 if kept is None else (some >= 0) & kept[some]
        products[torch.from_numpy(~counts)] = -torch.inf
        best, where = products.topk(k, dim=1)
        values.append(best)
        chosen = torch.from_numpy(some).gather(1, where)
        rows.append(chosen.where(best > -torch.inf, -1))
    return torch.cat(values), torch.cat(rows)


def _start(vectors: Vectors, rows: Rows, kind: Kind) -> Any:
    """Return an empty index that takes rows of the collection as ids."""
    package, dim = faiss(), vectors.shape[1]
    if kind == "hnsw":
        half = package.ScalarQuantizer.QT_fp16
        graph = package.IndexHNSWSQ(dim, half, LINKS, package.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = BREADTH
        index = package.IndexIDMap(graph)
        graph.this.disown()  # the map frees it
        index.own_fields = True
        return index
    cells = max(1, min(int(4 * len(rows) ** 0.5), len(rows) // 39))  # faiss wants 39 images a cell
    codes = max(count for count in range(1, min(64, max(1, dim // 4)) + 1) if dim % count == 0)
    coarse = package.IndexFlatIP(dim)
    index = package.IndexIVFPQ(coarse, dim, cells, codes, 8, package.METRIC_INNER_PRODUCT)
    coarse.this.disown()
    index.own_fields = True
    step = -(-len(rows) // TRAINED_ON)
    index.train(vectors[rows[::step]].astype(np.float32))
    return index


def _add(index: Any, vectors: Vectors, rows: Rows) -> None:
    for start in range(0, len(rows), ADDED):
        some = rows[start : start + ADDED]
        index.add_with_ids(vectors[some].astype(np.float32), some)


def _ways(kind: Kind, index: Any) -> Iterator[tuple[int, int]]:
    """Yield ways to search, (width, shortlist), from the fastest to the surest."""
    if kind == "hnsw":
        yield from ((2**power, 2) for power in range(4, 13))
        return
    for shortlist in (4, 16, 64, 256):
        width = 1
        while width < index.nlist:
            yield width, shortlist
            width *= 2
        yield index.nlist, shortlist
