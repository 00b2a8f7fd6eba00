"""CRD: contrastive representation distillation. Tian et al. 2020, arXiv:1910.10699, section 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.crd import crd_memory_loss, crd_normalisers
from lookalike.methods.base import Batch, Step
from lookalike.methods.distillation import Distillation
from lookalike.nn.feature_matching import CONTRASTED, FeatureMatching
from lookalike.nn.gather import gather
from lookalike.nn.memory_bank import MemoryBank
from lookalike.nn.teacher import Teacher
from lookalike.pairwise.similarity import unit_rows
from lookalike.randomness import uniforms


class CRD(Distillation):
    """Tell what the teacher says of an image from what it said of others, and the other way round.

    Linear maps bring a layer of each to one space, where either is compared with the other's
    memory: one row for each image of the data set. `feature_distillation` with `crd` compares
    within the batch and needs no memory.

    Args:
        teachers: the layer is the first one's.
        image_count: n, images of the data set, each with a row in both memories; training fills it
            in.
        negatives: rows drawn for comparison, with replacement (paper: 16,384).
        negatives_from: images of other classes (paper), or any other images.
        contrast_weight: >= 0, of this loss (paper: 0.8).
        contrast_temperature: > 0; lower weighs the nearest rows more (paper: 0.07).
        bank_momentum: share of a row that stays when its image is seen, in [0, 1) (paper: 0.5).
        student_layer: a module of the backbone, by name; none: what it returns.
        teacher_layer: likewise of the teacher.
        label_weight: of the cross entropy with labels (paper: 1).
        response_weight: of the loss of answers (paper: 0, or 1 beside CRD).
        arguments: what `Distillation` takes besides.

    Raises:
        ValueError: a layer does not exist or makes maps, or a number is out of its range.

    Deviations: the images of a batch share their negatives, so that they are one matrix product;
    of these an image leaves out its own row and those of its class, and has fewer. An image's class
    is known once it has been seen.
    """

    normalisers: Tensor
    labels: Tensor
    steps: Tensor

    def __init__(
        self,
        backbone: Backbone,
        teachers: Sequence[Teacher] = (),
        *,
        image_count: int,
        negatives: int = 16_384,
        negatives_from: Literal["other_classes", "other_images"] = "other_classes",
        contrast_weight: float = 0.8,
        contrast_temperature: float = 0.07,
        bank_momentum: float = 0.5,
        student_layer: str | None = None,
        teacher_layer: str | None = None,
        label_weight: float = 1.0,
        response_weight: float = 0.0,
        **arguments: Any,
    ) -> None:
        super().__init__(
            backbone,
            teachers,
            label_weight=label_weight,
            response_weight=response_weight,
            **arguments,
        )
        _check.at_least(1, image_count=image_count, negatives=negatives)
        _check.at_least(0, contrast_weight=contrast_weight)
        _check.positive(contrast_temperature=contrast_temperature)
        _check.fraction(bank_momentum=bank_momentum)
        _check.one_of(("other_classes", "other_images"), negatives_from=negatives_from)
        if teachers:
            layers = {"student_layer": student_layer, "teacher_layer": teacher_layer}
            self.matching = FeatureMatching("crd", backbone, teachers[0], **layers)
        self.student_bank = MemoryBank(image_count, CONTRASTED)
        self.teacher_bank = MemoryBank(image_count, CONTRASTED)
        self.register_buffer("labels", torch.full((image_count,), -1))  # -1: not seen, or unknown
        self.register_buffer("normalisers", torch.zeros(2))  # 0 until the first step has told them
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.negatives = negatives
        self.by_class = negatives_from == "other_classes"
        self.contrast_weight = contrast_weight
        self.contrast_temperature = contrast_temperature
        self.bank_momentum = bank_momentum

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return the size of the memories, and one output a class where the source names any."""
        return {
            **super().fit(images, classes),
            "image_count": (images, "a row of both memories for each image"),
        }

    @property
    def asks_by_index(self) -> bool:
        """Never: the teacher's layer is looked at, and it has to see for that."""
        return False

    def forward(self, batch: Batch) -> Step:
        """Return what is learnt from labels, from answers, and from the memories as they are."""
        step = super().forward(batch)  # in which the layers were seen
        student, teacher = (unit_rows(vectors) for vectors in self.matching())  # (B, 128)
        rows = self._drawn()
        left_out = self._left_out(batch, rows)
        contrast, normalisers = self._contrast(
            _scores(student, self.teacher_bank, batch.index, rows, left_out),
            _scores(teacher, self.student_bank, batch.index, rows, left_out),
        )
        loss = step.loss + self.listens() * self.contrast_weight * contrast
        seen = (student.detach(), teacher.detach(), batch.index, batch.labels)
        carry = (*(gather(each) for each in seen), normalisers)
        return Step(loss, {**step.logs, "contrast": contrast.detach()}, carry)

    def _drawn(self) -> Tensor:
        """Return (K,) rows, by the number of the step alone, and so alike on all processes."""
        draws = uniforms(self.negatives, seed=0, epoch=0, index=self.steps[None], stream=0)[0]
        return (draws.double() * len(self.labels)).long()

    def _left_out(self, batch: Batch, rows: Tensor) -> Tensor:
        """Return (B, K) whether a row that was drawn is no negative of an image."""
        left_out = batch.index[:, None] == rows
        if self.by_class:
            same = batch.labels[:, None] == self.labels[rows]
            left_out = left_out | (same & (batch.labels[:, None] >= 0))
        return left_out

    def _contrast(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of (B, 1 + K) scores, and the normalisers that the first step fixes."""
        images, temperature = len(self.labels), self.contrast_temperature
        first = crd_normalisers(student, teacher, images=images, temperature=temperature)
        first = gather(first[None]).mean(0)
        normalisers = torch.where(self.normalisers > 0, self.normalisers, first)
        loss = crd_memory_loss(
            student, teacher, images=images, normalisers=normalisers, temperature=temperature
        )
        return loss, normalisers

    def after_step(self, step: Step, progress: float) -> None:
        """Write what both networks said of these images, before the step, into the memories.

        Args:
            step: its carry is what all processes have seen, and the normalisers.
            progress: fraction of training done.
        """
        super().after_step(step, progress)
        student, teacher, index, labels, normalisers = step.carry
        self.student_bank.update(index, student, momentum=self.bank_momentum)
        self.teacher_bank.update(index, teacher, momentum=self.bank_momentum)
        self.labels[index] = labels
        self.normalisers.copy_(normalisers)
        self.steps += 1


def _scores(
    vectors: Tensor, bank: MemoryBank, index: Tensor, rows: Tensor, left_out: Tensor
) -> Tensor:
    """Return (B, 1 + K) cosines of vectors with their own rows of a bank and with those drawn."""
    own = (vectors * bank.rows[index]).sum(1, keepdim=True)
    with torch.autocast(vectors.device.type, enabled=False):
        others = vectors @ bank.rows[rows].T
    return torch.cat([own, others.masked_fill(left_out, -torch.inf)], dim=1)
