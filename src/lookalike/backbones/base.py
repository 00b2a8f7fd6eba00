"""What every encoder is: a module that knows the width of what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor, nn


class Backbone(nn.Module):
    """An encoder: (B, 3, H, W) images in, (B, dim) representations out.

    Args:
        dim: width of a representation.
    """

    dim: int

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    if TYPE_CHECKING:  # nn.Module calls return Any; ours return representations

        def __call__(self, images: Tensor) -> Tensor:
            """Return (B, dim) representations."""


@runtime_checkable
class EncodesGrid(Protocol):
    """A backbone that also says what it makes of each patch of an image, by itself."""

    def grid(self, images: Tensor, change: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Return (B, rows, columns, dim); `change` is done to the (N, 3, S, S) patches before."""


@runtime_checkable
class EncodesInStages(Protocol):
    """A backbone that makes maps stage by stage, each of the one before, and averages the last.

    widths: channels of each stage's map; the last is `dim`.
    """

    widths: tuple[int, ...]

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the map of every stage: (B, 3, H, W) -> (B, C, H', W') each."""

    def after(self, stage: int) -> nn.Module:
        """Return what comes after so many stages: (B, widths[stage - 1], H', W') -> (B, dim)."""
