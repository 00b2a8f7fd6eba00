"""A backbone with the head that is kept: what metric learning compares is what search compares."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lookalike.backbones.base import Backbone
from lookalike.backbones.build import build_backbone
from lookalike.nn.heads import mlp


class Embedding(Backbone):
    """A backbone and a head, trained together and kept together: (B, 3, H, W) -> (B, dim).

    Args:
        backbone: its representation goes through the head.
        head: (B, backbone.dim) -> (B, dim).
        dim: width of what comes out.
    """

    def __init__(self, backbone: Backbone, head: nn.Module, *, dim: int) -> None:
        super().__init__(dim=dim)
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim), not normalised."""
        embeddings: Tensor = self.head(self.backbone(images))
        return embeddings


def embedding(
    *,
    backbone: str = "resnet18",
    widths: tuple[int, ...] = (128,),
    hidden: bool = False,
    **arguments: Any,
) -> Embedding:
    """Return a backbone with a head on it.

    Args:
        backbone: name of the backbone.
        widths: of the head's hidden layers, each followed by batch normalisation and ReLU, and of
            what comes out.
        hidden: whether what comes out is one more hidden layer: the lower part of a longer head.
        arguments: of the backbone.

    Raises:
        UsageError: there is no such backbone, or it takes no such arguments.
        ValueError: an argument is out of its range; there is no width.
    """
    network = build_backbone(backbone, **arguments)
    head = mlp(network.dim, *widths, 1)[:-1] if hidden else mlp(network.dim, *widths)
    return Embedding(network, head, dim=widths[-1])
