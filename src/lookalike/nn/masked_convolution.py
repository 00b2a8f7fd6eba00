"""A context that sees rows above alone. van den Oord et al. 2016, arXiv:1606.05328, section 2."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from lookalike import _check


class MaskedConvolution(nn.Conv2d):
    """A 3 x 3 convolution whose last row is masked, so that nothing from below comes in.

    What is masked is not computed: the kernel is 2 x 3, over the row itself and the one above. The
    row itself counts as a whole: in CPC it is known, and rows below it are what is predicted.

    Args:
        channels: C of the input, (B, C, H, W).
        out_channels: O of the output, (B, O, H, W).
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, (2, 3))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H, W)."""
        return super().forward(F.pad(maps, (1, 1, 1, 0)))


class Context(nn.Module):
    """What can be said at each position from the rows down to its own.

    Each block lets a position see one row further up and one column further to both sides.

    Args:
        width: of a position's vector in the grid.
        context_dim: width of a context.
        hidden_dim: width inside a block; none: a quarter of `context_dim`.
        blocks: residual blocks, >= 1.

    Raises:
        ValueError: a width or `blocks` is below 1.
    """

    def __init__(
        self, width: int, context_dim: int, *, hidden_dim: int | None = None, blocks: int = 5
    ) -> None:
        super().__init__()
        hidden_dim = max(context_dim // 4, 1) if hidden_dim is None else hidden_dim
        _check.at_least(
            1, width=width, context_dim=context_dim, hidden_dim=hidden_dim, blocks=blocks
        )
        same = width == context_dim
        self.first = nn.Identity() if same else nn.Linear(width, context_dim)
        self.blocks = nn.Sequential(*(_Block(context_dim, hidden_dim) for _ in range(blocks)))

    def forward(self, grid: Tensor) -> Tensor:
        """(B, rows, columns, width) -> (B, rows, columns, context_dim)."""
        contexts: Tensor = self.blocks(self.first(grid))
        return contexts


class _Block(nn.Module):
    """A masked convolution between two 1 x 1, beside a shortcut; channels come last."""

    def __init__(self, width: int, hidden_dim: int) -> None:
        super().__init__()
        # over channels alone: over the map it would carry what is below up
        self.norm = nn.LayerNorm(width)
        self.narrow = nn.Linear(width, hidden_dim)
        self.look = MaskedConvolution(hidden_dim, hidden_dim)
        self.widen = nn.Linear(hidden_dim, width)

    def forward(self, grid: Tensor) -> Tensor:
        maps = F.relu(self.narrow(self.norm(grid))).permute(0, 3, 1, 2)  # (B, hidden, rows, cols)
        around = F.relu(self.look(maps)).permute(0, 2, 3, 1)
        residual: Tensor = self.widen(around)
        return grid + residual
