"""Row sums of softplus, for losses that compare pair by pair; tiles as in `similarity`."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike.pairwise.similarity import Among, _Tiles


def row_softplus(
    rows: Tensor,
    columns: Tensor,
    offset: Tensor,
    *,
    scale: float,
    row_labels: Tensor,
    column_labels: Tensor,
    among: Among,
    exclude_self: bool = False,
) -> Tensor:
    """Return the sum over j of log(1 + exp(scale * rows[i] . columns[j] + offset[i])), every row i.

    Memory is O((N + M) D) and one tile: backward makes the products again. The gradient reaches
    rows, columns and offset, and cannot be differentiated again.

    Args:
        rows: (N, D), float32 or float64.
        columns: (M, D), of the same precision.
        offset: (N,), of the same precision, finite.
        scale: factor on the dot products.
        row_labels: (N,) integers.
        column_labels: (M,) integers.
        among: the columns that count for a row: those of the same label, or those of another.
        exclude_self: leave out column i for row i.

    Returns:
        (N,) >= 0; 0, without gradient, where no column counts.
    """
    result: Tensor = torch.ops.lookalike.row_softplus(
        rows, columns, offset, row_labels, column_labels, among, exclude_self, scale
    )
    return result


_INPUTS = (
    "Tensor rows, Tensor columns, Tensor offset, Tensor row_labels, Tensor column_labels, "
    "str among, bool exclude_self, float scale"
)
torch.library.define("lookalike::row_softplus", f"({_INPUTS}) -> Tensor")
torch.library.define(
    "lookalike::row_softplus_backward", f"(Tensor gradient, {_INPUTS}) -> (Tensor, Tensor, Tensor)"
)


@torch.library.impl("lookalike::row_softplus", "default")
def _softplus(rows: Tensor, columns: Tensor, offset: Tensor, *settings: Any) -> Tensor:
    tiles = _Tiles(rows, columns, *settings)
    result = torch.zeros_like(offset)
    for i in tiles.row_slices:
        for j in tiles.column_slices:
            tile = tiles.at(i, j).add_(offset[i, None])  # -inf where a pair does not count
            result[i] -= F.logsigmoid(tile.neg_()).sum(1)  # without softplus's cut at 20
    return result


@torch.library.impl("lookalike::row_softplus_backward", "default")
def _softplus_backward(
    gradient: Tensor, rows: Tensor, columns: Tensor, offset: Tensor, *settings: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of rows, columns and offset.

    With W[i, j] = gradient[i] * sigmoid(scale * rows[i] . columns[j] + offset[i]) they are
    scale * W @ columns, scale * W.T @ rows and W's row sums.
    """
    tiles = _Tiles(rows, columns, *settings)
    to_rows, to_columns, to_offset = map(torch.zeros_like, (rows, columns, offset))
    for i in tiles.row_slices:
        for j in tiles.column_slices:
            tile = tiles.at(i, j).add_(offset[i, None]).sigmoid_().mul_(gradient[i, None])  # W
            to_rows[i].addmm_(tile, columns[j], alpha=tiles.scale)
            to_columns[j].addmm_(tile.T, rows[i], alpha=tiles.scale)
            to_offset[i] += tile.sum(1)
    return to_rows, to_columns, to_offset


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:5])
    ctx.settings = inputs[5:]


def _differentiate(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    three = torch.ops.lookalike.row_softplus_backward(gradient, *ctx.saved_tensors, *ctx.settings)
    return *three, None, None, None, None, None


def _refuse(ctx: Any, *gradients: Tensor) -> None:
    raise RuntimeError("the gradient of row_softplus cannot be differentiated again")


# What a graph must know without computing: the shapes.
def _like(rows: Tensor, columns: Tensor, offset: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(offset)


def _like_backward(
    gradient: Tensor, rows: Tensor, columns: Tensor, offset: Tensor, *_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(rows), torch.empty_like(columns), torch.empty_like(offset)


torch.library.register_fake("lookalike::row_softplus", _like)
torch.library.register_fake("lookalike::row_softplus_backward", _like_backward)
torch.library.register_autograd("lookalike::row_softplus", _differentiate, setup_context=_save)
torch.library.register_autograd("lookalike::row_softplus_backward", _refuse)
