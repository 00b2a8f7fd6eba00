"""Metric learning: labels say which images are alike. Any loss of labelled embeddings, trained.

The papers differ in the loss, each a file in `losses/`, and in the settings, each a file here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from lookalike import _check, registry
from lookalike.backbones.base import Backbone
from lookalike.backbones.embedding import Embedding
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.cross_batch_memory import CrossBatchMemory
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.views.plans import METRIC


class Preset(NamedTuple):
    """What a paper uses unless told otherwise: a loss, its arguments, the widths of the head."""

    loss: str
    loss_arguments: Mapping[str, Any] = {}
    widths: tuple[int, ...] = (128,)


class Metric(Method):
    """Train the embedding itself: images of one class close, images of others apart.

    The encoder that a run keeps ends with the head, for its embeddings are what the loss compares.

    Args:
        loss: function of embeddings (N, D) and labels (N,), by name, or mine.py:my_loss.
        loss_arguments: of the loss, by name.
        widths: of the head's hidden layers and of an embedding; empty for no head.
        memory: embeddings of earlier batches that the loss sees besides, without gradient
            (cross-batch memory, arXiv:1912.06798).

    Raises:
        UsageError: there is no such loss.
        TypeError: it takes no such arguments.

    Deviations: with a memory the loss takes batch and memory for one batch, so that remembered
    images are anchors, too.
    """

    views = METRIC
    small_views = METRIC
    recipe = Recipe("adamw", lr=3e-4, scaling="none", weight_decay=1e-4, warmup_epochs=1)
    small_recipe = Recipe("adamw", lr=1e-3, scaling="none", weight_decay=1e-4, warmup_epochs=1)
    needs_labels = True
    sampling = "classes"
    heads = ("projector",)
    preset: ClassVar[Preset] = Preset("triplet")

    def __init__(
        self,
        backbone: Backbone,
        *,
        loss: str | None = None,
        loss_arguments: Mapping[str, Any] | None = None,
        widths: tuple[int, ...] | None = None,
        memory: int = 0,
    ) -> None:
        super().__init__(backbone)
        _check.at_least(0, memory=memory)
        mine = loss is None or loss == self.preset.loss
        self.loss: Callable[..., Tensor] = registry.load(
            registry.locate("losses", loss or self.preset.loss)
        )
        self.loss_arguments = {
            **(self.preset.loss_arguments if mine else {}),
            **(loss_arguments or {}),
        }
        inspect.signature(self.loss).bind(None, None, **self.loss_arguments)
        self.widths = self.preset.widths if widths is None else tuple(widths)
        self.projector = mlp(backbone.dim, *self.widths) if self.widths else nn.Identity()
        dim = self.widths[-1] if self.widths else backbone.dim
        self.memory = CrossBatchMemory(memory, dim) if memory else None

    def project(self, views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return one (B, D) embedding a view; all views share one batch normalisation."""
        return self.embed(torch.cat(views)).chunk(len(views))

    def compare(self, projections: tuple[Tensor, ...], batch: Batch) -> Step:
        """Return the loss of the embeddings of this and every other process."""
        embeddings = torch.cat([gather(view) for view in projections])  # (N, D)
        labels = gather(batch.labels).repeat(len(projections))  # (N,)
        carry = (embeddings.detach(), labels)
        if self.memory is not None:
            embeddings = torch.cat([embeddings, self.memory.rows.to(embeddings.dtype)])
            labels = torch.cat([labels, self.memory.labels])
        return Step(self.loss(embeddings, labels, **self.loss_arguments), carry=carry)

    def forward(self, batch: Batch) -> Step:
        """Return the loss of the labelled batch."""
        return self.compare(self.project(batch.views), batch)

    def after_step(self, step: Step, progress: float) -> None:
        """Remember this step's embeddings, if there is a memory.

        Args:
            step: its carry is the embeddings and labels of all processes.
            progress: fraction of training done.
        """
        if self.memory is not None:
            self.memory.enqueue(*step.carry)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, D) embeddings, normalised only if the loss does so."""
        embeddings: Tensor = self.projector(self.backbone(images))
        return embeddings

    def encoder(
        self, name: str, arguments: Mapping[str, Any]
    ) -> tuple[Backbone, str, dict[str, Any]]:
        """Return the backbone with its head, and how to build both again."""
        if not self.widths:
            return super().encoder(name, arguments)
        network = Embedding(self.backbone, self.projector, dim=self.widths[-1])
        return network, "embedding", {"backbone": name, "widths": self.widths, **arguments}
