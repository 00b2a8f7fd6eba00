"""Distillation: a student learns what a teacher says. Hinton et al. 2015, arXiv:1503.02531."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike import _check, registry
from lookalike.backbones.base import Backbone
from lookalike.losses.soft_cross_entropy import soft_cross_entropy_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.mixup import mix
from lookalike.nn.teacher import Teacher, count_classes, mean_answer
from lookalike.views.plans import SUPERVISED, SUPERVISED_SMALL


class Distillation(Method):
    """Answer as a teacher does, with all that it says of the classes that are not the right one.

    Teacher and student see the same view. Several teachers count as one whose probabilities are
    the mean of theirs. Images without a label are learnt from the teacher alone.

    Args:
        teachers: each (B, 3, H, W) -> (B, C) logits of the same classes; the command line names
            them with --teacher.
        class_count: C, that the labels count to; none: the teachers'. Training fills it in.
        response: how answers are compared: kd, logit_mse, dkd, dist, pseudo_label or none; where
            dkd knows no label, it takes the teacher's word.
        response_weight: of that loss (RepDistiller: 0.9 of KD).
        label_weight: of the cross entropy with labels (RepDistiller: 0.1).
        temperature: > 0, that softens both answers (paper: up to 20; RepDistiller: 4).
        standardise: take each answer of kd and dkd to mean 0 and variance 1 over the classes first
            (arXiv:2403.01427; there with a temperature of 2 and ten times the response_weight).
        response_arguments: further arguments of the loss of answers, by name.
        until: share of training after which labels alone count, with the weight of both
            (arXiv:1910.01348: KD helps early and hurts late).
        mixup: mix images two by two before both see them (arXiv:2106.05237).

    Raises:
        ValueError: classes differ, or a number is out of its range.
    """

    views = SUPERVISED
    small_views = SUPERVISED_SMALL
    recipe = Recipe("sgd", lr=0.1, weight_decay=1e-4, warmup_epochs=5)
    small_recipe = Recipe("sgd", lr=0.2, weight_decay=5e-4, warmup_epochs=1)
    needs_teacher = "classes"
    heads = ("classifier",)
    progress: Tensor

    def __init__(
        self,
        backbone: Backbone,
        teachers: Sequence[Teacher] = (),
        *,
        class_count: int | None = None,
        response: Literal["kd", "logit_mse", "dkd", "dist", "pseudo_label", "none"] = "kd",
        response_weight: float = 0.9,
        label_weight: float = 0.1,
        temperature: float = 4.0,
        standardise: bool = False,
        response_arguments: Mapping[str, Any] | None = None,
        until: float = 1.0,
        mixup: bool = False,
    ) -> None:
        super().__init__(backbone)
        _check.at_least(0, response_weight=response_weight, label_weight=label_weight)
        _check.positive(temperature=temperature)
        _check.fraction(until=until)
        if standardise and response not in {"kd", "dkd"}:
            raise ValueError(f"standardise must be False with response {response}, got True")
        self.teachers = nn.ModuleList(teachers)
        self.classifier = nn.Linear(backbone.dim, count_classes(teachers, class_count))
        self.compare: Callable[..., Tensor] | None = None
        self.arguments = dict(response_arguments or {})
        if response != "none":
            self.compare = registry.load(registry.locate("losses", f"{response}_loss"))
            known = inspect.signature(self.compare).parameters
            if "temperature" in known:
                self.arguments.setdefault("temperature", temperature)
            if "standardise" in known:
                self.arguments.setdefault("standardise", standardise)
        self.response_weight = response_weight
        self.label_weight = label_weight
        self.temperature = temperature
        self.until = until
        self.mixup = mixup
        self.register_buffer("progress", torch.zeros(()))

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return one output a class, where the source names any."""
        return {"class_count": (classes, "one output for each class")} if classes else {}

    @property
    def asks_by_index(self) -> bool:
        """Whether teachers see images as they are, and not mixed."""
        return not self.mixup

    def forward(self, batch: Batch) -> Step:
        """Return the weighted sum of what is learnt from labels and from the teachers."""
        (view,), known = batch.views, (batch.labels >= 0).unsqueeze(1)
        wanted = F.one_hot(batch.labels.clamp(min=0), self.classifier.out_features).float() * known
        if self.mixup:
            view, wanted = mix(view, wanted, gather(batch.index))
        logits = self.embed(view)
        asked = (view, batch.index) if self.asks_by_index else (view,)
        answers = [teacher(*asked) for teacher in self.teachers]
        from_labels = soft_cross_entropy_loss(logits, wanted)
        agree = (logits.detach().argmax(1) == answers[0].argmax(1)).float().mean()
        listens = self.listens()
        left = self.response_weight * ~listens  # what the answers weighed, now that they are silent
        loss = (self.label_weight + left) * from_labels
        loss = loss + listens * self.taught(logits, answers, batch, wanted)
        return Step(loss, {"from_labels": from_labels.detach(), "agreement": agree})

    def listens(self) -> Tensor:
        """Return () whether it is early enough to learn from a teacher."""
        return (self.progress < self.until) | (self.until >= 1)

    def taught(
        self, logits: Tensor, answers: Sequence[Tensor], batch: Batch, wanted: Tensor
    ) -> Tensor:
        """Return the () weighted loss of (B, C) logits against what each teacher answers.

        Args:
            logits: of the student.
            answers: of each teacher, (B, C).
            batch: what both see.
            wanted: (B, C) classes of the images as both see them, mixed or not.

        Raises:
            TypeError: the loss of answers takes no such arguments.
        """
        if self.compare is None:
            return torch.zeros((), device=logits.device)
        teacher = mean_answer(answers, self.temperature)
        both = [gather(logits), gather(teacher)]
        if "labels" in inspect.signature(self.compare).parameters:
            known = batch.labels >= 0
            both.append(gather(torch.where(known, batch.labels, teacher.argmax(1))))
        return self.response_weight * self.compare(*both, **self.arguments)

    def after_step(self, step: Step, progress: float) -> None:
        """Remember how far training is.

        Args:
            step: not needed.
            progress: fraction of training done.
        """
        self.progress.fill_(progress)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, C) logits."""
        logits: Tensor = self.classifier(self.backbone(images))
        return logits

    classify = embed
