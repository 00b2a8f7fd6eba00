"""Deep mutual learning. Zhang et al. 2017, arXiv:1706.00384, equations 1 to 6."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.kd import kd_loss
from lookalike.losses.soft_cross_entropy import soft_cross_entropy_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.teacher import mean_answer
from lookalike.views.plans import SUPERVISED, SUPERVISED_SMALL


class Mutual(Method):
    """Peers learn from labels and from one another; none is a teacher, and all end better.

    All see the same view and take their steps at once. Each has weights of its own from the start.
    The encoder that a run keeps is the first peer's.

    Args:
        class_count: C, classes, >= 2; training fills it in.
        peers: networks, >= 2 (paper: 2).
        ensemble: whether each learns from the mean of the others' probabilities, and not from each
            of the others (paper, equation 6).
        temperature: > 0, that answers are softened by (paper: 1).

    Raises:
        ValueError: a number is out of its range.

    Deviations: the paper updates one peer after the other, each with the newest answers.
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
        peers: int = 2,
        ensemble: bool = False,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(backbone)
        _check.at_least(2, class_count=class_count, peers=peers)
        _check.positive(temperature=temperature)
        self.classifier = nn.Linear(backbone.dim, class_count)
        self.others = nn.ModuleList(
            _renewed(nn.Sequential(backbone, self.classifier)) for _ in range(peers - 1)
        )
        self.ensemble = ensemble
        self.temperature = temperature

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return one output a class."""
        return {"class_count": (classes, "one output for each class")}

    def forward(self, batch: Batch) -> Step:
        """Return the sum of all peers' losses; no gradient goes from one to another."""
        (view,) = batch.views
        answers = [self.embed(view), *(peer(view) for peer in self.others)]
        wanted = F.one_hot(batch.labels, self.classifier.out_features).to(answers[0].dtype)
        losses = [self._loss(number, answers, wanted) for number in range(len(answers))]
        right = (answers[0].detach().argmax(1) == batch.labels).to(wanted.dtype).mean()
        return Step(torch.stack(losses).sum(), {"right": right})

    def _loss(self, number: int, answers: list[Tensor], wanted: Tensor) -> Tensor:
        """Return what one peer has to learn, from labels and from the others."""
        mine = answers[number]
        others = [each for other, each in enumerate(answers) if other != number]
        if self.ensemble:
            others = [mean_answer(others, self.temperature)]
        taught = torch.stack([kd_loss(mine, each, temperature=self.temperature) for each in others])
        return soft_cross_entropy_loss(mine, wanted) + taught.mean()

    def embed(self, images: Tensor) -> Tensor:
        """Return the first peer's (B, C) logits."""
        logits: Tensor = self.classifier(self.backbone(images))
        return logits

    classify = embed


def _renewed(network: nn.Module) -> nn.Module:
    """Return a copy with weights drawn anew, layer by layer."""
    other = copy.deepcopy(network)
    for layer in other.modules():
        renew = getattr(layer, "reset_parameters", None)
        if callable(renew):
            renew()
    return other
