"""Supervised classification: a label an image. What teachers and baselines are trained by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.soft_cross_entropy import soft_cross_entropy_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.mixup import mix
from lookalike.views.plans import SUPERVISED, SUPERVISED_SMALL


class Supervised(Method):
    """Tell the classes of the labels apart, through one linear layer on the representation.

    The encoder that a run keeps is the backbone; its classifier stays in the checkpoint, where a
    student finds it.

    Args:
        class_count: classes, >= 2; training fills it in.
        objective: what a prediction is measured by: cross_entropy, or squared_error, the sum over
            classes of squared differences of probabilities, which makes probabilities and so
            teachers better (arXiv:2407.18041).
        label_smoothing: share of a label that is spread evenly over all classes, in [0, 1].
        mixup: train on mixtures of two images and of their labels, each image with a share of its
            own, uniform in [0, 1] (arXiv:1710.09412, alpha = 1).

    Raises:
        ValueError: class_count < 2, or label_smoothing out of its range.

    Deviations: mixup draws its shares from the positions of the images and not from a generator,
    so that they are the same on any number of processes.
    """

    views = SUPERVISED
    small_views = SUPERVISED_SMALL
    recipe = Recipe("sgd", lr=0.1, weight_decay=1e-4, warmup_epochs=5)
    small_recipe = Recipe("sgd", lr=0.2, weight_decay=5e-4, warmup_epochs=1)
    needs_labels = True
    heads = ("classifier",)

    def __init__(
        self,
        backbone: Backbone,
        *,
        class_count: int,
        objective: Literal["cross_entropy", "squared_error"] = "cross_entropy",
        label_smoothing: float = 0.0,
        mixup: bool = False,
    ) -> None:
        super().__init__(backbone)
        _check.at_least(2, class_count=class_count)
        _check.fraction(label_smoothing=label_smoothing)
        _check.one_of(("cross_entropy", "squared_error"), objective=objective)
        self.classifier = nn.Linear(backbone.dim, class_count)
        self.class_count = class_count
        self.objective = objective
        self.label_smoothing = label_smoothing
        self.mixup = mixup

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return one output a class."""
        return {"class_count": (classes, "one output for each class")}

    def forward(self, batch: Batch) -> Step:
        """Return the mean loss of the batch."""
        (view,) = batch.views
        wanted = self.targets(batch.labels)
        if self.mixup:
            view, wanted = mix(view, wanted, gather(batch.index))
        logits = self.embed(view)
        right = (logits.detach().argmax(1) == batch.labels).float().mean()
        return Step(self.measure(logits, wanted), {"right": right})

    def targets(self, labels: Tensor) -> Tensor:
        """Return (B, C) what the outputs should say: one-hot, smoothed."""
        sure = F.one_hot(labels, self.class_count).float()
        return sure.lerp(torch.full_like(sure, 1 / self.class_count), self.label_smoothing)

    def measure(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """Return the () mean loss of (B, C) logits against (B, C) probabilities."""
        if self.objective == "squared_error":
            return (logits.softmax(1, dtype=wanted.dtype) - wanted).square().sum(1).mean()
        return soft_cross_entropy_loss(logits, wanted)

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, C) logits."""
        logits: Tensor = self.classifier(self.backbone(images))
        return logits

    classify = embed
