"""What every training scheme is: a batch in, a step out, and state that moves in one place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from lookalike.backbones.base import Backbone
from lookalike.nn.heads import split_layers
from lookalike.views.plans import SIMCLR, SIMCLR_SMALL, Plan


class Batch(NamedTuple):
    """What a method sees of some images.

    views: one (B, 3, H, W) tensor a view, row i of each showing image i.
    labels: (B,) int64, -1 where unknown.
    index: (B,) int64, each image's position in its data set.
    similar: (B / 2,) bool, whether images 2 i and 2 i + 1 are alike; None where they are no pairs.
    """

    views: tuple[Tensor, ...]
    labels: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which a batch has no use for
    similar: Tensor | None = None


class Step(NamedTuple):
    """What a method makes of a batch.

    loss: () scalar to minimise.
    logs: detached scalars worth showing, by name.
    carry: detached tensors that `after_step` needs.
    """

    loss: Tensor
    logs: dict[str, Tensor] = {}  # noqa: RUF012  a fixed empty default, never written to
    carry: tuple[Tensor, ...] = ()


class Recipe(NamedTuple):
    """How a paper trains, as far as the method knows and the data does not.

    optim: name of the optimizer, a function in `training/optim.py`.
    lr: base learning rate, before `scaling`.
    scaling: "linear" is lr * B / 256, "square_root" is lr * sqrt(B), "none" is lr.
    weight_decay: as the optimizer takes it.
    warmup_epochs: epochs in which the learning rate rises to its peak.
    method_arguments: arguments of the method that this recipe sets.
    """

    optim: str
    lr: float
    scaling: Literal["linear", "square_root", "none"] = "linear"
    weight_decay: float = 0.0
    warmup_epochs: float = 0.0
    method_arguments: Mapping[str, object] = {}


@runtime_checkable
class ComparesProjections(Protocol):
    """A method whose `forward(batch)` is `compare(project(batch.views), batch)`.

    `project` sees images one by one (batch normalisation aside) and holds all parameters;
    `compare` sees the whole batch and holds none. So a batch too large for memory can be
    projected in parts and compared whole.
    """

    def project(self, views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return one (B, D) projection a view."""

    def compare(self, projections: tuple[Tensor, ...], batch: Batch) -> Step:
        """Return the loss of the whole batch's projections."""


@runtime_checkable
class Classifies(Protocol):
    """A method that tells classes apart, by a classifier on the representation."""

    backbone: Backbone
    classifier: nn.Module

    def classify(self, images: Tensor) -> Tensor:
        """Return (B, C) logits."""


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

    recipe: ClassVar[Recipe] = Recipe("sgd", lr=0.03, weight_decay=1e-4)
    """How to train when images are large and many."""

    small_recipe: ClassVar[Recipe] = Recipe("sgd", lr=0.12, weight_decay=5e-4)
    """How to train when images are small."""

    constant_rate: ClassVar[tuple[str, ...]] = ()
    """Names of submodules whose learning rate stays at its peak."""

    heads: ClassVar[tuple[str, ...]] = ("projector", "predictor")
    """Names of the submodules that a representation passes through on its way to the loss, in
    order; those that a method lacks are passed over."""

    default_backbone: ClassVar[str | None] = None
    """Name of the backbone that the method is about; none: any will do."""

    seed_patches: ClassVar[bool] = False
    """Whether to train on one patch of each image, where its gradients are, in its place."""

    needs_labels: ClassVar[bool] = False
    """Whether the loss is made of labels: images without one are then left out."""

    takes_pairs: ClassVar[bool] = False
    """Whether it also learns from a table of pairs, without labels: from `Batch.similar`."""

    sampling: ClassVar[Literal["shuffled", "classes", "identities"]] = "shuffled"
    """How batches are drawn: from all images alike, some images of each of some classes, or many of
    a few identities among others; see `data/samplers.py`."""

    images_per_class: ClassVar[int] = 4
    """Images of each class, or identity, in a batch that is drawn so."""

    needs_teacher: ClassVar[Literal["classes", "vectors"] | None] = None
    """What a teacher tells of an image, where the method learns from one: logits of classes, or
    vectors. Such a method takes `teachers` after the backbone."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return the arguments that only the data can tell, each with its reason.

        Args:
            images: how many there are to train on; `Batch.index` counts them from 0.
            classes: how many the source names; labels are below it. 0 where it names none.
        """
        return {}

    @property
    def rates(self) -> Mapping[str, float]:
        """Factors of the learning rate of some parameters or submodules, by name."""
        return {}

    @property
    def asks_by_index(self) -> bool:
        """Whether all that it takes of its teachers is `teacher(view, batch.index)`.

        They may then answer by heart where an image looks the same in every epoch.
        """
        return False

    @abstractmethod
    def forward(self, batch: Batch) -> Step:
        """Return the loss of a batch, reading state and changing none."""

    def after_step(self, step: Step, progress: float) -> None:
        """Move state, once after each optimizer step.

        Args:
            step: what `forward` returned for this optimizer step.
            progress: fraction of training done after this step, in (0, 1].
        """

    def encoder(
        self, name: str, arguments: Mapping[str, Any]
    ) -> tuple[Backbone, str, dict[str, Any]]:
        """Return what a run keeps of the method, and how to build it again.

        Args:
            name: of the backbone.
            arguments: of the backbone, by name.

        Returns:
            An encoder with its name and arguments for `build_backbone`; by default the backbone,
            for what comes before a head serves other ends better than what comes after.
        """
        return self.backbone, name, dict(arguments)

    def embed(self, images: Tensor) -> Tensor:
        """Return the (B, D) vectors that the loss compares, before normalisation.

        The monitors watch them. The default is the representation itself.
        """
        return self.backbone(images)

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return what images become on their way to the loss, each (B, D), in order.

        The first is "backbone", the representation. The default then goes through `heads` layer by
        layer: "projector 1", "projector 2", ..., "predictor 1", ... What `embed` returns is one
        of them.
        """
        vectors = self.backbone(images)
        stages = {"backbone": vectors}
        for name in self.heads:
            for number, layer in enumerate(split_layers(getattr(self, name, nn.Identity())), 1):
                vectors = layer(vectors.clone())  # a layer may begin by changing what it is given
                stages[f"{name} {number}"] = vectors
        return stages
