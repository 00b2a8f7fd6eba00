"""The similarity engine: reductions over all pairs of rows that never hold an N x M matrix.

A contrastive loss is a row log-sum-exp of similarities, batch-hard mining a row maximum, nearest
neighbours a row top-k. Here a tile of similarities is made in one small buffer that stays in cache,
reduced, and overwritten by the next; backward makes the tiles again, as FlashAttention does for
attention (Dao et al. 2022, arXiv:2205.14135). Memory is O((N + M) D) and one tile.

Similarities are dot products. A squared distance is one too, at the price of two more columns:
(2a, -|a|^2, -1) . (b, 1, |b|^2) = -|a - b|^2.

Results are float32 (float64 for float64 inputs) whatever the inputs and under autocast, and follow
torch's own float32 matrix product precision. The reductions are opaque to torch.compile: they break
no graph, and their gradients cannot be differentiated again.
"""

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from lookalike import _check

Among = Literal["all", "same", "different"]

CPU_TILE = (512, 2048)  # rows and columns, 4 MiB: stays in cache, and threads meet seldom
DEVICE_TILE = (4096, 4096)  # 64 MiB: fills an accelerator, leaves tiles to skip by symmetry
TOP_K_TILE = (512, 32_768)  # 64 MiB: wide, so that few shortlists are merged
EXP_SAFE = 40.0  # exp(+-40) summed over 1e9 columns stays a normal float32: no maximum needed


def unit_rows(vectors: Tensor) -> Tensor:
    """Return the rows at Euclidean norm 1.

    Args:
        vectors: (N, D); float32 arithmetic at least.

    Returns:
        (N, D) in float32 (float64 for float64). A row of norm 0 stays 0 and gets no gradient.
    """
    vectors = vectors.to(_precision(vectors))
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)  # (N, 1)
    return vectors / norms.where(norms > 0, math.inf)


def row_logsumexp(
    rows: Tensor,
    columns: Tensor | None = None,
    *,
    scale: float = 1.0,
    exclude_self: bool = False,
    row_labels: Tensor | None = None,
    column_labels: Tensor | None = None,
    among: Among = "all",
    bound: float = math.inf,
) -> Tensor:
    """Return log(sum over j of exp(scale * rows[i] . columns[j])) for every row i.

    The gradient reaches rows and columns, whichever ask for one.

    Args:
        rows: (N, D).
        columns: (M, D); None compares the rows with each other.
        scale: factor on the dot products; 1 / temperature.
        exclude_self: leave out column i for row i.
        row_labels: (N,) integers, needed unless `among` is "all".
        column_labels: (M,) integers; None takes `row_labels`.
        among: the columns that count for a row: all, those of the same label, or those of another.
        bound: the largest |rows[i] . columns[j]| there can be, where it is known: 1 for unit rows.
            Rows compared with each other take half the work if |scale| * bound is at most 40.

    Returns:
        (N,) in nats; -inf, without gradient, where no column counts.

    Raises:
        ValueError: shapes do not match; labels are missing.
    """
    symmetric = columns is None and column_labels is None and abs(scale) * bound <= EXP_SAFE
    rows, others, *labels = _prepare(rows, columns, row_labels, column_labels, among)
    result: Tensor = torch.ops.lookalike.row_logsumexp(
        rows, None if symmetric else others, *labels, among, exclude_self, scale
    )
    return result


def row_max(
    rows: Tensor,
    columns: Tensor | None = None,
    *,
    exclude_self: bool = False,
    row_labels: Tensor | None = None,
    column_labels: Tensor | None = None,
    among: Among = "all",
    below: Tensor | None = None,
) -> Tensor:
    """Return the largest rows[i] . columns[j] over j for every row i.

    The gradient runs through the pair that is the largest. Columns count as in `row_logsumexp`;
    with `below`, (N,), those alone whose product is below the row's own limit, which gets no
    gradient.

    Returns:
        (N,); -inf, without gradient, where no column counts.

    Raises:
        ValueError: shapes do not match; labels are missing.
    """
    rows, columns, *labels = _prepare(rows, columns, row_labels, column_labels, among)
    largest: Tensor = torch.ops.lookalike.row_argmax(
        rows.detach(), columns.detach(), *labels, among, exclude_self, below
    )
    partners = columns[largest.clamp_min(0)]  # (N, D)
    return (rows * partners).sum(1).where(largest >= 0, -math.inf)


def row_min(
    rows: Tensor,
    columns: Tensor | None = None,
    *,
    exclude_self: bool = False,
    row_labels: Tensor | None = None,
    column_labels: Tensor | None = None,
    among: Among = "all",
) -> Tensor:
    """Return the smallest rows[i] . columns[j] over j for every row i; see `row_max`.

    Returns:
        (N,); inf, without gradient, where no column counts.
    """
    return -row_max(
        -rows,
        rows if columns is None else columns,
        exclude_self=exclude_self,
        row_labels=row_labels,
        column_labels=column_labels,
        among=among,
    )


@torch.no_grad()
def top_k(
    queries: Tensor, keys: Tensor, k: int, *, exclude_self: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the k largest queries[i] . keys[j] of every query, and where they are.

    Args:
        queries: (N, D).
        keys: (M, D).
        k: how many, in [1, M], or [1, M - 1] where a query's own column is excluded.
        exclude_self: leave out key i for query i.

    Returns:
        Similarities (N, k), falling, and the positions of their keys (N, k) int64; neither carries
        a gradient. Equal similarities come in no promised order.

    Raises:
        ValueError: widths differ; k is out of range.
    """
    _check.same_width(queries=queries, keys=keys)
    if not 1 <= k <= keys.shape[0] - exclude_self:
        raise ValueError(f"k must be in [1, {keys.shape[0] - exclude_self}], got {k}")
    queries, keys = queries.to(_precision(queries)), keys.to(_precision(queries))
    tiles = _Tiles(queries, keys, exclude_self=exclude_self, shape=TOP_K_TILE)
    values = queries.new_full((queries.shape[0], k), -math.inf)
    positions = torch.zeros_like(values, dtype=torch.int64)
    for i in tiles.row_slices:
        for j in tiles.column_slices:
            tile = tiles.at(i, j)
            best, where = tile.topk(min(k, tile.shape[1]), dim=1)
            best = torch.cat([values[i], best], dim=1)
            where = torch.cat([positions[i], where + j.start], dim=1)
            values[i], order = best.topk(k, dim=1)
            positions[i] = where.gather(1, order)
    return values, positions


class _Tiles:
    """Similarities of some rows and columns at a time, in one buffer that every tile reuses."""

    def __init__(  # noqa: PLR0917  in the order of the operators below
        self,
        rows: Tensor,
        columns: Tensor | None,
        row_labels: Tensor | None = None,
        column_labels: Tensor | None = None,
        among: str = "all",
        exclude_self: bool = False,
        scale: float = 1.0,
        shape: tuple[int, int] | None = None,
    ) -> None:
        self.rows, self.columns = rows, rows if columns is None else columns
        self.row_labels, self.column_labels = row_labels, column_labels
        self.among, self.exclude_self, self.scale = among, exclude_self, scale
        height, width = shape or (CPU_TILE if rows.device.type == "cpu" else DEVICE_TILE)
        self.row_slices = _slices(0, len(self.rows), height)
        self.column_slices = _slices(0, len(self.columns), width)
        self.width = width
        self.buffer = rows.new_empty(min(height, len(self.rows)) * min(width, len(self.columns)))

    def at(self, i: slice, j: slice) -> Tensor:
        """Return the tile (I, J), -inf where a pair does not count; the next one overwrites it."""
        rows, columns = self.rows[i], self.columns[j]
        tile = self.buffer[: len(rows) * len(columns)].view(len(rows), len(columns))
        tile.addmm_(rows, columns.T, beta=0, alpha=self.scale)  # autocast lets in-place calls be
        if self.exclude_self:
            tile.diagonal(i.start - j.start).fill_(-math.inf)
        if self.row_labels is not None and self.column_labels is not None:
            same = self.row_labels[i, None] == self.column_labels[j]  # (I, J)
            tile.masked_fill_(same if self.among == "different" else ~same, -math.inf)
        return tile

    def upper(self) -> Iterator[tuple[slice, slice]]:
        """Yield the slices of square tiles on the diagonal, and of tiles that cover all above."""
        for i in self.row_slices:
            yield i, i
            for j in _slices(i.stop, len(self.columns), self.width):
                yield i, j


def _slices(start: int, stop: int, step: int) -> list[slice]:
    return [slice(first, min(first + step, stop)) for first in range(start, stop, step)]


def _precision(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _blank(rows: Tensor, inputs: Tensor | None, wanted: bool) -> Tensor:
    """Return zeros for the gradient of the inputs, or (0,) where none is wanted."""
    return torch.zeros_like(inputs) if wanted and inputs is not None else rows.new_zeros(0)


def _prepare(
    rows: Tensor,
    columns: Tensor | None,
    row_labels: Tensor | None,
    column_labels: Tensor | None,
    among: Among,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Check the arguments that reductions share; fill in what None means; raise the precision."""
    _check.one_of(("all", "same", "different"), among=among)
    columns = rows if columns is None else columns
    _check.same_width(rows=rows, columns=columns)
    rows, columns = rows.to(_precision(rows)), columns.to(_precision(rows))
    if among == "all":
        return rows, columns, None, None
    if row_labels is None:
        raise ValueError(f"among={among!r} needs row_labels, got None")
    column_labels = row_labels if column_labels is None else column_labels
    _check.labels_of(rows.shape[0], row_labels=row_labels)
    _check.labels_of(columns.shape[0], column_labels=column_labels)
    return rows, columns, row_labels, column_labels


# The reductions are operators of torch's, so that torch.compile takes each as a whole.
_PAIRS = "Tensor? row_labels, Tensor? column_labels, str among, bool exclude_self"
torch.library.define(
    "lookalike::row_argmax",
    f"(Tensor rows, Tensor columns, {_PAIRS}, Tensor? below) -> Tensor",
)
torch.library.define(
    "lookalike::row_logsumexp",
    f"(Tensor rows, Tensor? columns, {_PAIRS}, float scale) -> Tensor",
)
torch.library.define(
    "lookalike::row_logsumexp_backward",
    f"(Tensor gradient, Tensor result, Tensor rows, Tensor? columns, {_PAIRS}, float scale, "
    "bool wants_rows, bool wants_columns) -> (Tensor, Tensor)",
)


@torch.library.impl("lookalike::row_argmax", "default")
def _argmax(  # noqa: PLR0917  an operator's schema is positional
    rows: Tensor,
    columns: Tensor,
    row_labels: Tensor | None,
    column_labels: Tensor | None,
    among: str,
    exclude_self: bool,
    below: Tensor | None,
) -> Tensor:
    """Return the column of each row's largest product, (N,) int64; -1 where none counts."""
    tiles = _Tiles(rows, columns, row_labels, column_labels, among, exclude_self)
    largest = rows.new_full((len(rows),), -math.inf)
    positions = torch.full_like(largest, -1, dtype=torch.int64)
    for i in tiles.row_slices:
        for j in tiles.column_slices:
            tile = tiles.at(i, j)
            if below is not None:
                tile.masked_fill_(tile >= below[i, None], -math.inf)
            values, where = tile.max(1)
            larger = ~(values <= largest[i])  # said so that a NaN is larger, and shows
            largest[i] = values.where(larger, largest[i])
            positions[i] = (where + j.start).where(larger, positions[i])
    return positions


@torch.library.impl("lookalike::row_logsumexp", "default")
def _logsumexp(  # noqa: PLR0917  an operator's schema is positional
    rows: Tensor,
    columns: Tensor | None,
    row_labels: Tensor | None,
    column_labels: Tensor | None,
    among: str,
    exclude_self: bool,
    scale: float,
) -> Tensor:
    """Return each row's log-sum-exp, (N,); columns None: of bounded rows with each other."""
    tiles = _Tiles(rows, columns, row_labels, column_labels, among, exclude_self, scale)
    if columns is None:
        sums = rows.new_zeros(len(rows))
        for i, j in tiles.upper():
            tile = tiles.at(i, j).exp_()
            sums[i] += tile.sum(1)
            if j != i:
                sums[j] += tile.sum(0)
        return sums.log_()
    result = rows.new_empty(len(rows))
    for i in tiles.row_slices:
        parts = [tiles.at(i, j).logsumexp(1) for j in tiles.column_slices]
        result[i] = torch.stack(parts).logsumexp(0)
    return result


@torch.library.impl("lookalike::row_logsumexp_backward", "default")
def _logsumexp_backward(  # noqa: PLR0917  an operator's schema is positional
    gradient: Tensor,
    result: Tensor,
    rows: Tensor,
    columns: Tensor | None,
    row_labels: Tensor | None,
    column_labels: Tensor | None,
    among: str,
    exclude_self: bool,
    scale: float,
    wants_rows: bool,
    wants_columns: bool,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of rows and columns, (0,) for one that is not wanted.

    With P[i, j] = exp(scale * rows[i] . columns[j] - result[i]) and G = gradient[:, None] * P they
    are scale * G @ columns and scale * G.T @ rows. Where the rows are compared with each other, the
    first is both at once: scale * (G + G.T) @ rows.
    """
    tiles = _Tiles(rows, columns, row_labels, column_labels, among, exclude_self, scale)
    result = result.masked_fill(result == -math.inf, math.inf)  # no column counts: P = 0, not NaN
    to_rows, to_columns = _blank(rows, rows, wants_rows), _blank(rows, columns, wants_columns)
    if columns is None:
        weights = gradient * torch.exp(-result)
        for i, j in tiles.upper():
            tile = tiles.at(i, j).exp_().mul_(weights[i, None] + weights[j])  # G + G.T
            to_rows[i].addmm_(tile, rows[j], alpha=scale)
            if j != i:
                to_rows[j].addmm_(tile.T, rows[i], alpha=scale)
        return to_rows, to_columns
    for i in tiles.row_slices:
        for j in tiles.column_slices:
            tile = tiles.at(i, j).sub_(result[i, None]).exp_().mul_(gradient[i, None])  # G
            if wants_rows:
                to_rows[i].addmm_(tile, columns[j], alpha=scale)
            if wants_columns:
                to_columns[j].addmm_(tile.T, rows[i], alpha=scale)
    return to_rows, to_columns


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    rows, columns, row_labels, column_labels, *ctx.settings = inputs
    ctx.save_for_backward(output, rows, columns, row_labels, column_labels)


def _differentiate(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    wants = ctx.needs_input_grad[:2]
    both = torch.ops.lookalike.row_logsumexp_backward(
        gradient, *ctx.saved_tensors, *ctx.settings, *wants
    )
    to_rows, to_columns = (part if want else None for part, want in zip(both, wants, strict=True))
    return to_rows, to_columns, None, None, None, None, None


def _refuse(ctx: Any, *gradients: Tensor) -> None:
    raise RuntimeError("the gradient of row_logsumexp cannot be differentiated again")


# What a graph must know without computing: the shapes.
def _like_argmax(rows: Tensor, *_: Any) -> Tensor:
    return rows.new_empty(rows.shape[0], dtype=torch.int64)


def _like_logsumexp(rows: Tensor, *_: Any) -> Tensor:
    return rows.new_empty(rows.shape[0])


def _like_backward(
    gradient: Tensor, result: Tensor, rows: Tensor, columns: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor]:
    wants_rows, wants_columns = rest[-2:]
    return _blank(rows, rows, wants_rows), _blank(rows, columns, wants_columns)


torch.library.register_fake("lookalike::row_argmax", _like_argmax)
torch.library.register_fake("lookalike::row_logsumexp", _like_logsumexp)
torch.library.register_fake("lookalike::row_logsumexp_backward", _like_backward)
torch.library.register_autograd("lookalike::row_logsumexp", _differentiate, setup_context=_save)
torch.library.register_autograd("lookalike::row_logsumexp_backward", _refuse)
