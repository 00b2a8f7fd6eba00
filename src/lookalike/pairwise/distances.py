"""Euclidean distances of rows, a tile at a time, with digits enough for the pairs that are close.

|a|^2 + |b|^2 - 2 a . b loses the digits that the three terms share. On a CPU it is therefore
taken in float64, where a matrix product is far faster than the differences are; elsewhere the
differences are taken. What is left of it, rows far from the origin, `centred` takes away.
"""

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lookalike import _check
from lookalike.pairwise.similarity import unit_rows

Distance = Literal["euclidean", "squared_euclidean"]

CPU_TILE = 2**18  # distances; a tile and what is made of it stay in cache
DEVICE_TILE = 2**24


def centred(embeddings: Tensor, labels: Tensor | None = None, *, normalise: bool) -> Tensor:
    """Return the rows less their most central one: no distance changes, but fewer digits are lost.

    Equal rows become exactly 0, and whole numbers stay whole.

    Args:
        embeddings: (N, D), N >= 1; float32 arithmetic at least.
        labels: (N,), or None; looked at for its shape.
        normalise: bring the rows to norm 1 first; a row of norm 0 stays 0.

    Returns:
        (N, D) in float32 (float64 for float64), whose gradient is that of the rows: it must be used
        where distances alone count.

    Raises:
        ValueError: embeddings are no matrix of at least one row, or labels not (N,).
    """
    _check.matrix(embeddings=embeddings)
    _check.at_least(1, rows=len(embeddings))
    if labels is not None:
        _check.labels_of(len(embeddings), labels=labels)
    precision = torch.promote_types(embeddings.dtype, torch.float32)
    rows = unit_rows(embeddings) if normalise else embeddings.to(precision)
    still = rows.detach()
    central = (still - still.mean(0)).square().sum(1).argmin(0, keepdim=True)  # (1,)
    return rows - still.index_select(0, central)


def widened(rows: Tensor) -> Tensor:
    """Return the rows in the precision that `pair_squares` needs on their device."""
    return rows.double() if rows.device.type == "cpu" else rows


def pair_squares(rows: Tensor, columns: Tensor, precision: torch.dtype) -> Tensor:
    """Return the squared distance of every row from every column.

    Args:
        rows: (R, D), `widened`.
        columns: (C, D), `widened`.
        precision: of the result.

    Returns:
        (R, C), >= 0.
    """
    if rows.device.type != "cpu":
        return torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist").square()
    norms = rows.square().sum(1, keepdim=True) + columns.square().sum(1)
    return torch.addmm(norms, rows, columns.T, alpha=-2).to(precision).clamp_min_(0)


def root(squares: Tensor) -> Tensor:
    """Return the square root, whose gradient at 0 is 0; NaN stays NaN."""
    away = ~(squares <= 0)  # true of NaN, which must show
    return squares.where(away, 1).sqrt().where(away, 0)


def tiles_of(rows: Tensor) -> Iterator[slice]:
    """Yield slices of the rows, so many at a time that their distances from all are one tile."""
    area = CPU_TILE if rows.device.type == "cpu" else DEVICE_TILE
    height = math.ceil(area / len(rows))
    for start in range(0, len(rows), height):
        yield slice(start, min(start + height, len(rows)))


class PairTile(NamedTuple):
    """Some rows beside all of them, or beside themselves and those after: I rows and J columns."""

    squares: Tensor  # (I, J) squared distances
    positive: Tensor  # (I, J) bool, of one label; the row itself is not
    negative: Tensor  # (I, J) bool
    i: slice  # the rows


def by_tiles(
    of_tile: Callable[..., Tensor],
    rows: Tensor,
    labels: Tensor,
    *others: object,
    once: bool = False,
) -> Tensor:
    """Return what a function makes of each row, a tile at a time; backward makes the tiles again.

    Args:
        of_tile: takes a `PairTile` and the others, returns (I, ...).
        rows: (N, D), as `centred` returns them.
        labels: (N,) integers.
        others: what else the function takes.
        once: each pair once: columns begin at the tile's first row, and only later ones are
            positive or negative.

    Returns:
        (N, ...).
    """
    tiles, wide = list(tiles_of(rows)), widened(rows)
    start = (of_tile, wide, labels, rows.dtype, once)
    if len(tiles) == 1 or not rows.requires_grad:
        return torch.cat([_part(i, *start, *others) for i in tiles])
    parts = [checkpoint(_part, i, *start, *others, use_reentrant=False) for i in tiles]
    return torch.cat(parts)


def _part(  # noqa: PLR0917  checkpoint's arguments are positional
    i: slice,
    of_tile: Callable[..., Tensor],
    wide: Tensor,
    labels: Tensor,
    precision: torch.dtype,
    once: bool,
    *others: object,
) -> Tensor:
    first = i.start if once else 0
    squares = pair_squares(wide[i], wide[first:], precision)
    same = labels[i, None] == labels[first:]
    if once:
        return of_tile(PairTile(squares, same.triu(1), (~same).triu(1), i), *others)
    itself = torch.ones_like(same).triu(i.start).tril(i.start)
    return of_tile(PairTile(squares, same & ~itself, ~same, i), *others)
