"""Losses against class centres: every class has a point, or several, that is learned.

The papers differ in the loss, each a file in `losses/`, and in the settings, each a file here.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from lookalike import _check, registry
from lookalike.backbones.base import Backbone
from lookalike.backbones.embedding import Embedding
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.views.plans import METRIC

Loss = Literal[
    "normalised_softmax",
    "cosface",
    "arcface",
    "adaface",
    "sphereface",
    "proxy_anchor",
    "soft_triple",
]
_OF_ANY_SIZE = {"sphereface", "proxy_anchor", "soft_triple"}  # their scale does not follow classes
_NEW = 0.01  # what a batch adds to the norms that AdaFace remembers


class Proxies(Method):
    """Images go to the learned centre of their class, and away from those of all others.

    No pairs are compared, so batches need not hold several images of a class. The encoder that a
    run keeps ends with the projector, for its embeddings are what the loss compares.

    Args:
        class_count: classes, >= 2; training fills it in.
        loss: what compares images and centres; none: the preset's.
        widths: of the projector's hidden layers and of an embedding.
        scale: > 0, of the cosines; none: sqrt(2) log(class_count - 1) (AdaCos, arXiv:1905.00292),
            for the papers' 64 is for some ten thousand classes and more; the paper's own for
            sphereface, proxy_anchor and soft_triple.
        margin: as the loss takes it; none: the paper's.
        centres_of_a_class: for arcface and soft_triple; none: the preset's, else 1 and 10.
        proxy_rate: > 0, learning rate of the centres in units of the network's.

    Deviations: AdamW with one rate and factor for all losses. Of SphereFace's margin half is used
    from the first step on, where the paper lets it grow.
    """

    views = METRIC
    small_views = METRIC
    recipe = Recipe("adamw", lr=3e-4, scaling="none", weight_decay=1e-4, warmup_epochs=1)
    small_recipe = Recipe("adamw", lr=1e-3, scaling="none", weight_decay=1e-4, warmup_epochs=1)
    needs_labels = True
    heads = ("projector",)
    preset: ClassVar[Loss] = "cosface"
    preset_centres: ClassVar[int | None] = None  # of a class, with the preset's loss
    norms: Tensor

    def __init__(
        self,
        backbone: Backbone,
        *,
        class_count: int,
        loss: Loss | None = None,
        widths: tuple[int, ...] = (128,),
        scale: float | None = None,
        margin: float | None = None,
        centres_of_a_class: int | None = None,
        proxy_rate: float = 10.0,
    ) -> None:
        super().__init__(backbone)
        _check.at_least(2, class_count=class_count)
        _check.at_least(1, layers=len(widths))
        _check.positive(proxy_rate=proxy_rate)
        self.name = loss or self.preset
        self.loss: Callable[..., Tensor] = registry.load(
            registry.locate("losses", f"{self.name}_loss")
        )
        known = inspect.signature(self.loss).parameters
        if scale is None and self.name not in _OF_ANY_SIZE:
            scale = math.sqrt(2) * math.log(max(class_count - 1, 2))
        if self.name == self.preset:
            centres_of_a_class = centres_of_a_class or self.preset_centres
        given = {"scale": scale, "margin": margin, "centres_of_a_class": centres_of_a_class}
        self.arguments = {name: value for name, value in given.items() if value is not None}
        for name in self.arguments.keys() - known.keys():
            raise ValueError(f"{name} must be none with the loss {self.name}, which has none")
        if self.name == "sphereface":
            self.arguments["share"] = 0.5
        default = known["centres_of_a_class"].default if "centres_of_a_class" in known else 1
        each = self.arguments.get("centres_of_a_class", default)
        self.widths = tuple(widths)
        self.projector = mlp(backbone.dim, *self.widths)
        centres = torch.randn(class_count * int(each), self.widths[-1])
        self.proxies = nn.Parameter(centres / self.widths[-1] ** 0.5)  # norms of about 1
        self.proxy_rate = proxy_rate
        # Mean and deviation of the norms of embeddings, where AdaFace begins.
        self.register_buffer("norms", torch.tensor([20.0, 100.0]))

    @property
    def rates(self) -> Mapping[str, float]:
        """The centres' own learning rate, in units of the network's."""
        return {"proxies": self.proxy_rate}

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return a centre, or several, for each class."""
        return {"class_count": (classes, "one centre, or several, for each class")}

    def forward(self, batch: Batch) -> Step:
        """Return how far the images of all processes are from the centres of their classes."""
        embeddings = torch.cat([gather(self.embed(view)) for view in batch.views])
        labels = gather(batch.labels).repeat(len(batch.views))
        norms = torch.linalg.vector_norm(embeddings.detach().float(), dim=1).clamp(1e-3, 100)
        moments = torch.stack(
            [norms.mean(), norms.std() if len(norms) > 1 else norms.new_zeros(())]
        )
        state = self.norms.unbind() if self.name == "adaface" else ()
        loss = self.loss(embeddings, labels, self.proxies, *state, **self.arguments)
        return Step(loss, {"norm": moments[0]}, (moments,))

    def after_step(self, step: Step, progress: float) -> None:
        """Remember the norms of embeddings, by which AdaFace tells good images from poor ones.

        Args:
            step: its carry is the mean and the deviation of the norms of all processes.
            progress: fraction of training done.
        """
        self.norms.lerp_(step.carry[0].to(self.norms.dtype), _NEW)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, D) embeddings, not normalised."""
        embeddings: Tensor = self.projector(self.backbone(images))
        return embeddings

    def encoder(
        self, name: str, arguments: Mapping[str, Any]
    ) -> tuple[Backbone, str, dict[str, Any]]:
        """Return the backbone with its projector, and how to build both again."""
        network = Embedding(self.backbone, self.projector, dim=self.widths[-1])
        return network, "embedding", {"backbone": name, "widths": self.widths, **arguments}
