"""A grid of overlapping patches, each encoded alone. van den Oord et al. 2018, arXiv:1807.03748.

Section 3.2 and figure 4. No layer sees more than one patch, and none normalises over the batch:
batch normalisation would tell a patch about its neighbours, which are what CPC predicts.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone

WINDOWS = 3
"""Windows a side that a patch is cut into; each overlaps the next by half."""


def patches(
    *,
    patch: int = 8,
    stride: int = 4,
    width: int = 32,
    depth: int = 2,
    layer_norm: bool = True,
) -> Patches:
    """Return a small residual net over a grid of patches: dim is 8 * width.

    Args:
        patch: side of a patch in pixels, a multiple of 4 (paper: 64).
        stride: pixels from one patch to the next (paper: 32).
        width: channels of the first layer.
        depth: residual blocks that see a whole patch.
        layer_norm: normalise over channels, as CPC's second version does; its first has nothing.
    """
    return Patches(patch, stride, width, depth, layer_norm)


class Residual(nn.Module):
    """Two linear layers beside a shortcut, activated before each; channels come last.

    Args:
        width: of the input and the output, (..., width).
        hidden_dim: width inside.
        layer_norm: whether the input of each layer is normalised over its channels.
    """

    def __init__(self, width: int, hidden_dim: int, *, layer_norm: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_activation(width, layer_norm),
            nn.Linear(width, hidden_dim),
            *_activation(hidden_dim, layer_norm),
            nn.Linear(hidden_dim, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        residual: Tensor = self.layers(x)
        return x + residual


class Patches(Backbone):
    """One encoder for every patch of a grid, and the average over the grid.

    The encoder is two convolutions without padding and residual blocks between and after them: the
    first looks through 3 x 3 windows of half a patch, the second at all nine. Both are written as
    matrix products, which maps this small take five times faster on a CPU than as convolutions.

    Args:
        patch: see `patches`.
        stride: see `patches`.
        width: see `patches`.
        depth: see `patches`.
        layer_norm: see `patches`.

    Raises:
        ValueError: patch is no multiple of 4; stride or width is below 1, or depth below 0.
    """

    def __init__(self, patch: int, stride: int, width: int, depth: int, layer_norm: bool) -> None:
        _check.at_least(1, patch=patch, stride=stride, width=width)
        _check.at_least(0, depth=depth)
        if patch % 4:
            raise ValueError(f"patch must be a multiple of 4, got {patch}")
        super().__init__(dim=8 * width)
        self.patch, self.stride = patch, stride
        self.encoder = nn.Sequential(
            nn.Linear(3 * (patch // 2) ** 2, width),
            Residual(width, width, layer_norm=layer_norm),
            *_activation(width, layer_norm),
            nn.Flatten(),
            nn.Linear(WINDOWS**2 * width, self.dim),
            *(Residual(self.dim, self.dim // 2, layer_norm=layer_norm) for _ in range(depth)),
            *_activation(self.dim, layer_norm),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim), the average over the grid."""
        return self.grid(images).mean(dim=(1, 2))

    def grid(self, images: Tensor, change: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Return what the encoder makes of each patch.

        Args:
            images: (B, 3, H, W); their centre, where the grid does not reach both borders.
            change: what is done to the patches before, (N, 3, patch, patch) to the same shape.

        Returns:
            (B, rows, columns, dim), from top to bottom and from left to right.

        Raises:
            ValueError: the images are smaller than a patch.
        """
        patches = self.cut(images)  # (B, rows, columns, 3, patch, patch)
        count, rows, columns = patches.shape[:3]
        patches = patches.flatten(0, 2)  # (N, 3, patch, patch)
        if change is not None:
            patches = change(patches)
        side = self.patch // 2
        windows = patches.unfold(2, side, side // 2).unfold(3, side, side // 2)
        windows = windows.permute(0, 2, 3, 1, 4, 5).reshape(patches.shape[0], WINDOWS**2, -1)
        vectors: Tensor = self.encoder(windows)  # (N, dim)
        return vectors.view(count, rows, columns, self.dim)

    def cut(self, images: Tensor) -> Tensor:
        """Return (B, rows, columns, 3, patch, patch): the patches of (B, 3, H, W) images."""
        height, width = images.shape[2:]
        if min(height, width) < self.patch:
            raise ValueError(
                f"images must be at least a patch of {self.patch} px, got {height} x {width}"
            )
        top, left = ((side - self.patch) % self.stride // 2 for side in (height, width))
        centre = images[:, :, top:, left:]
        patches = centre.unfold(2, self.patch, self.stride).unfold(3, self.patch, self.stride)
        return patches.permute(0, 2, 3, 1, 4, 5)


def _activation(width: int, layer_norm: bool) -> tuple[nn.Module, ...]:
    return (nn.LayerNorm(width), nn.ReLU()) if layer_norm else (nn.ReLU(),)
