"""The networks of Exemplar-CNN. Dosovitskiy et al. 2014, arXiv:1406.6909, section 4.1.

Layers go by the paper's names: a "c5" is a 5 x 5 convolution with ReLU, the first two followed by
2 x 2 max-pooling; an "f" is a fully connected layer with ReLU and dropout. Nothing is normalised.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from lookalike import _check
from lookalike.backbones.base import Backbone


def exemplar_small(*, width: int = 64, patch: int = 32, dropout: float = 0.5) -> ExemplarNet:
    """Return 64c5-64c5-128f: dim is 2 * width.

    Args:
        width: channels of the convolutions (paper: 64).
        patch: side of the pictures that the last layer covers, a multiple of 4 (paper: 32).
        dropout: share of the last layer that is dropped in training, in [0, 1) (paper: 0.5).
    """
    return ExemplarNet((width, width, 2 * width), patch, dropout)


def exemplar_medium(*, width: int = 64, patch: int = 32, dropout: float = 0.5) -> ExemplarNet:
    """Return 64c5-128c5-256c5-512f: dim is 8 * width.

    Args:
        width: channels of the first convolution (paper: 64).
        patch: side of the pictures that the last layer covers, a multiple of 4 (paper: 32).
        dropout: share of the last layer that is dropped in training, in [0, 1) (paper: 0.5).
    """
    return ExemplarNet((width, 2 * width, 4 * width, 8 * width), patch, dropout)


def exemplar_large(*, patch: int = 32, dropout: float = 0.5) -> ExemplarNet:
    """Return 92c5-256c5-512c5-1024f: dim is 1024.

    Args:
        patch: side of the pictures that the last layer covers, a multiple of 4 (paper: 32).
        dropout: share of the last layer that is dropped in training, in [0, 1) (paper: 0.5).
    """
    return ExemplarNet((92, 256, 512, 1024), patch, dropout)


class ExemplarNet(Backbone):
    """Convolutions, and a last layer that slides over pictures larger than a patch.

    Deviations: what the paper starts weights with is not known to us; here it is He's, so that
    what comes out is as large as what goes in.

    Args:
        widths: channels of each layer, the last of them dim.
        patch: side of the pictures that the last layer covers.
        dropout: share of the last layer that is dropped in training.

    Raises:
        ValueError: a width is below 1, patch is no multiple of 4, or dropout is out of its range.
    """

    def __init__(self, widths: tuple[int, ...], patch: int, dropout: float) -> None:
        _check.at_least(1, width=min(widths))
        if patch < 4 or patch % 4:
            raise ValueError(f"patch must be a multiple of 4, got {patch}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        super().__init__(dim=widths[-1])
        self.patch = patch
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 5, padding=2) for before, after in pairwise((3, *widths[:-1]))
        )
        self.connected = nn.Conv2d(widths[-2], widths[-1], patch // 4)
        self.dropout = nn.Dropout(dropout)
        for layer in (*self.convolutions, self.connected):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the map of every layer, after its pooling if it has one.

        Args:
            images: (B, 3, H, W), H and W at least `patch`.

        Returns:
            (B, C, H', W') a layer; the last is 1 x 1 for a patch.

        Raises:
            ValueError: the images are smaller than a patch.
        """
        if min(images.shape[2:]) < self.patch:
            raise ValueError(
                f"images must be at least {self.patch} px, got {tuple(images.shape)}; "
                "for smaller ones make the network with a smaller patch"
            )
        maps: list[Tensor] = []
        x = images
        for number, convolution in enumerate(self.convolutions):
            # pooled first: the same numbers, for ReLU never swaps two, and a quarter of its work
            x = convolution(x) if number > 1 else F.max_pool2d(convolution(x), 2)
            x = F.relu(x)
            maps.append(x)
        return (*maps, F.relu(self.connected(x)))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim), the largest over all places of the last map."""
        representations: Tensor = self.dropout(self.stages(images)[-1].amax(dim=(2, 3)))
        return representations
