"""The nearest vectors, exactly: similarities are made a tile at a time, and most are never sorted.

Once k similarities of a query are known, the smallest of them is a bound that few others pass.
So of every tile only the maxima of groups of columns are compared with it, and only groups that
pass are looked into; what passes is pooled, and sorted now and then, which raises the bound. The
cost beyond the matrix product is one read of each tile while it lies in cache.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lookalike.neighbors.collection import Rows, Vectors

QUERIES = 1024  # that share a tile: 8 MiB with 2,048 columns
NARROWEST, WIDEST = 2048, 32_768  # columns of a tile: more where many neighbours are wanted
DEVICE_TILE = 2**26  # similarities at a time on an accelerator
GROUP = 32  # columns whose maximum is taken together
POOLED = 4  # times k that a query may have pooled, on average


@torch.no_grad()
def nearest(
    queries: Tensor, vectors: Vectors, k: int, *, rows: Rows | None = None
) -> tuple[Tensor, Tensor]:
    """Return the k rows of the largest dot product with each query.

    Args:
        queries: (Q, D) float32; where they are, the products are made.
        vectors: (N, D) float16 or float32; the products are float32 of either.
        k: how many, in [1, M], M the rows that are searched.
        rows: (M,) those to search; None for all.

    Returns:
        (Q, k) float32 products, falling, and (Q, k) int64 rows; equal products in no promised
        order.

    Raises:
        ValueError: widths differ; k is out of range.
    """
    count = len(vectors) if rows is None else len(rows)
    if queries.ndim != 2 or queries.shape[1] != vectors.shape[1]:
        raise ValueError(
            f"queries must have the shape (n, {vectors.shape[1]}), got {tuple(queries.shape)}"
        )
    if not 1 <= k <= count:
        raise ValueError(f"k must be in [1, {count}], got {k}")
    on_cpu = queries.device.type == "cpu"
    width = min(WIDEST, max(NARROWEST, 64 * k))
    if not on_cpu:
        width = max(NARROWEST, DEVICE_TILE // max(1, min(len(queries), QUERIES)))
    width -= width % GROUP
    best = [_Best(part, k, prune=on_cpu) for part in torch.split(queries, QUERIES)]
    tile = queries.new_empty(min(QUERIES, len(queries)) * min(width, count))
    for start in range(0, count, width):
        chosen = slice(start, start + width) if rows is None else rows[start : start + width]
        keys = torch.from_numpy(vectors[chosen]).to(queries.device, torch.float32)
        for each in best:
            each.see(keys, start, tile)
    values, where = (torch.cat(parts) for parts in zip(*(e.result() for e in best), strict=True))
    if rows is not None:
        where = torch.from_numpy(rows).to(where.device)[where]
    return values, where


class _Best:
    """The largest products of some queries so far.

    Args:
        queries: (I, D).
        k: how many to keep.
        prune: whether to pass over what is below the bound, which waits for the device.
    """

    def __init__(self, queries: Tensor, k: int, *, prune: bool) -> None:
        self.queries, self.k, self.prune = queries, k, prune
        self.values = queries.new_empty(len(queries), 0)
        self.where = torch.empty_like(self.values, dtype=torch.int64)
        self.pool: list[tuple[Tensor, Tensor, Tensor]] = []  # queries, places and products

    def see(self, keys: Tensor, start: int, buffer: Tensor) -> None:
        """Take note of the products with some keys (J, D), the first of them at place `start`."""
        tile = buffer[: len(self.queries) * len(keys)].view(len(self.queries), len(keys))
        torch.mm(self.queries, keys.T, out=tile)
        full = self.values.shape[1] == self.k
        if not (self.prune and full and len(keys) % GROUP == 0):
            values, where = tile.topk(min(self.k, len(keys)), dim=1)
            values = torch.cat([self.values, values], dim=1)
            where = torch.cat([self.where, where + start], dim=1)
            self.values, order = values.topk(min(self.k, values.shape[1]), dim=1)
            self.where = where.gather(1, order)
            return
        bound = self.values[:, -1]
        groups = tile.view(len(tile), GROUP, -1)  # (I, GROUP, J / GROUP): read in order
        # a comparison that NaN passes, so that it shows
        query, group = (~(groups.amax(1) <= bound[:, None])).nonzero(as_tuple=True)
        inside = groups[query, :, group]  # (P, GROUP)
        passing, column = (~(inside <= bound[query, None])).nonzero(as_tuple=True)
        place = start + column * groups.shape[2] + group[passing]
        self.pool.append((query[passing], place, inside[passing, column]))
        if sum(len(each[0]) for each in self.pool) > POOLED * self.values.numel():
            self._settle()

    def result(self) -> tuple[Tensor, Tensor]:
        """Return the (I, k) largest products, falling, and their places."""
        self._settle()
        return self.values, self.where

    def _settle(self) -> None:
        """Keep the k largest of each query, of those that were kept and those in the pool."""
        if not self.pool:
            return
        queries, places, values = (torch.cat(each) for each in zip(*self.pool, strict=True))
        rows, k = self.values.shape
        kept = torch.arange(rows, device=queries.device).repeat_interleave(k)
        queries = torch.cat([kept, queries])
        places = torch.cat([self.where.flatten(), places])
        values = torch.cat([self.values.flatten(), values])
        order = values.argsort(descending=True)
        order = order[queries[order].argsort(stable=True)]  # by query, then from the largest
        counts = queries.bincount(minlength=rows)
        first = counts.cumsum(0) - counts
        chosen = order[first[:, None] + torch.arange(k, device=order.device)]  # (I, k)
        self.values, self.where = values[chosen], places[chosen]
        self.pool = []
