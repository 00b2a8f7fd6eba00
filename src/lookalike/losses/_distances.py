"""Squared distances as dot products, which is what the similarity engine reduces."""

import torch
from torch import Tensor


def distance_rows(rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows and columns with products -|row - column|^2, but for one constant a row.

    The constant is the row's squared norm: it changes no share of a softmax over the columns. All
    are first moved so that the columns' mean is 0: distances stay, and products are smaller. What a
    product of large rows would still lose in float32 is kept by float64, where the device has it.

    Args:
        rows: (N, D).
        columns: (M, D).

    Returns:
        (N, D + 1) and (M, D + 1), in float64 but on devices without it.
    """
    if rows.device.type in {"cpu", "cuda"}:
        rows, columns = rows.double(), columns.double()
    centre = columns.detach().mean(0)
    rows, columns = rows - centre, columns - centre
    minus = rows.new_full((rows.shape[0], 1), -1.0)
    squares = columns.square().sum(1, keepdim=True)  # (M, 1)
    return torch.cat([2 * rows, minus], dim=1), torch.cat([columns, squares], dim=1)
