"""Embedding distillation: a small encoder whose neighbours are the large one's.

Regression of directions, and of similarities to a queue of earlier images as in CompRess (Abbasi
Koohpayegani et al. 2020, arXiv:2010.14713) and SEED (Fang et al. 2021, arXiv:2101.04731).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.backbones.embedding import Embedding
from lookalike.losses.embedding_regression import embedding_regression_loss
from lookalike.losses.similarity_distillation import similarity_distillation_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.heads import mlp
from lookalike.nn.queue import Queue
from lookalike.nn.teacher import Teacher
from lookalike.pairwise.similarity import unit_rows
from lookalike.views.plans import METRIC


class EmbeddingDistillation(Method):
    """Say of an image what the teacher says, and find it as near to others as the teacher does.

    Both see the same view. The encoder that a run keeps ends with the projector: its vectors are
    the teacher's, in the teacher's space, so that either can search an index of the other.

    Args:
        teachers: one, (B, 3, H, W) -> (B, dim); the command line names it with --teacher.
        dim: width of the teacher's vectors; training fills it in.
        queue_size: earlier images whose similarities are compared.
        regression_weight: >= 0, of 2 - 2 cosine between both sides.
        similarity_weight: >= 0, of the divergence of similarities.
        temperature: > 0, of the similarities on both sides (CompRess: 0.04).

    Raises:
        ValueError: there is more than one teacher, or a number is out of its range.

    Deviations: CompRess and SEED have the similarities alone; the queue is shorter.
    """

    views = METRIC
    small_views = METRIC
    recipe = Recipe("adamw", lr=1e-3, scaling="none", weight_decay=1e-4, warmup_epochs=1)
    small_recipe = Recipe("adamw", lr=3e-3, scaling="none", weight_decay=1e-4, warmup_epochs=1)
    needs_teacher = "vectors"
    heads = ("projector",)

    def __init__(
        self,
        backbone: Backbone,
        teachers: Sequence[Teacher] = (),
        *,
        dim: int,
        queue_size: int = 4096,
        regression_weight: float = 1.0,
        similarity_weight: float = 1.0,
        temperature: float = 0.04,
    ) -> None:
        super().__init__(backbone)
        _check.at_least(0, regression_weight=regression_weight, similarity_weight=similarity_weight)
        _check.positive(temperature=temperature)
        if len(teachers) > 1:
            raise ValueError(f"teachers must be one: vectors of {len(teachers)} have no mean")
        self.teachers = nn.ModuleList(teachers)
        self.projector = mlp(backbone.dim, dim)
        self.queue = Queue(queue_size, dim)
        self.dim = dim
        self.regression_weight = regression_weight
        self.similarity_weight = similarity_weight
        self.temperature = temperature

    @property
    def asks_by_index(self) -> bool:
        """Always: its vectors of the views are all that is taken of the teacher."""
        return True

    def forward(self, batch: Batch) -> Step:
        """Return how far the student's vectors and similarities are from the teacher's."""
        (view,) = batch.views
        student, teacher = self.embed(view), self.teachers[0](view, batch.index)
        regression = embedding_regression_loss(student, teacher)
        similarity = similarity_distillation_loss(
            student,
            teacher,
            self.queue.rows,
            temperature=self.temperature,
            teacher_temperature=self.temperature,
        )
        loss = self.regression_weight * regression + self.similarity_weight * similarity
        logs = {"regression": regression.detach(), "similarity": similarity.detach()}
        return Step(loss, logs, (gather(unit_rows(teacher)),))

    def after_step(self, step: Step, progress: float) -> None:
        """Remember what the teacher said of these images.

        Args:
            step: its carry is the teacher's vectors of all processes.
            progress: fraction of training done.
        """
        self.queue.enqueue(*step.carry)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, dim) vectors in the teacher's space, not normalised."""
        vectors: Tensor = self.projector(self.backbone(images))
        return vectors

    def encoder(
        self, name: str, arguments: Mapping[str, Any]
    ) -> tuple[Backbone, str, dict[str, Any]]:
        """Return the backbone with its projector, and how to build both again."""
        network = Embedding(self.backbone, self.projector, dim=self.dim)
        return network, "embedding", {"backbone": name, "widths": (self.dim,), **arguments}
