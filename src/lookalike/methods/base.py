"""What every training scheme is: a batch in, a step out, and state that moves in one place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from lookalike.backbones.base import Backbone
from lookalike.views.plans import SIMCLR, SIMCLR_SMALL, Plan


class Batch(NamedTuple):
    """What a method sees of some images.

    views: one (B, 3, H, W) tensor a view, row i of each showing image i.
    labels: (B,) int64, -1 where unknown.
    index: (B,) int64, each image's position in its data set.
    """

    views: tuple[Tensor, ...]
    labels: Tensor
    index: Tensor


class Step(NamedTuple):
    """What a method makes of a batch.

    loss: () scalar to minimise.
    logs: detached scalars worth showing, by name.
    carry: detached tensors that `after_step` needs.
    """

    loss: Tensor
    logs: dict[str, Tensor] = {}  # noqa: RUF012  a fixed empty default, never written to
    carry: tuple[Tensor, ...] = ()


class Method(nn.Module, ABC):
    """A training scheme around a backbone.

    `forward` only reads state (the running averages of batch normalisation aside), so it may be
    compiled, wrapped and repeated. `after_step` runs once after each optimizer step, without
    gradients, and is the only place where state moves.

    Args:
        backbone: turns (B, 3, H, W) images into (B, dim) representations.
    """

    views: ClassVar[Plan] = SIMCLR
    """The views to train on when images are large."""

    small_views: ClassVar[Plan] = SIMCLR_SMALL
    """The views to train on when images are small (about 96 pixels and below)."""

    needs_labels: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    @abstractmethod
    def forward(self, batch: Batch) -> Step:
        """Return the loss of a batch, reading state and changing none."""

    def after_step(self, step: Step, progress: float) -> None:
        """Move state, once after each optimizer step.

        Args:
            step: what `forward` returned for this optimizer step.
            progress: fraction of training done after this step, in (0, 1].
        """

    def embed(self, images: Tensor) -> Tensor:
        """Return the (B, D) vectors that the loss compares, before normalisation.

        The monitors watch them. The default is the representation itself.
        """
        return self.backbone(images)
