"""PESF-KD: the teacher stands still, its answers come to meet the student. arXiv:2205.15308."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.soft_cross_entropy import soft_cross_entropy_loss
from lookalike.methods.base import Batch
from lookalike.methods.distillation import Distillation
from lookalike.nn.teacher import Teacher, mean_answer


class PESF(Distillation):
    """Learn answers that learn, too: to be right, and as sharp as the student can follow.

    Rao et al. 2022. A small adapter on the frozen teacher's logits trains together with the
    student. It changes nothing at first, so that training begins as plain distillation does. The
    divergence of both pulls at both; labels keep the adapter from giving in.

    Args:
        teachers: each (B, 3, H, W) -> (B, C) logits of the same classes; the adapter is on their
            mean.
        adapter_weight: >= 0, of the cross entropy of adapted answers with labels.
        adapter_dim: width inside the adapter, >= 1.
        arguments: what `Distillation` takes besides; its response is kd here.

    Raises:
        ValueError: a number is out of its range, or another response is asked for.

    Deviations: what the adapter is and how its two losses weigh is not known to us; here it is two
    linear layers with ReLU between them beside a shortcut, and the loss of labels weighs 1.
    """

    def __init__(
        self,
        backbone: Backbone,
        teachers: Sequence[Teacher] = (),
        *,
        adapter_weight: float = 1.0,
        adapter_dim: int = 64,
        **arguments: Any,
    ) -> None:
        given = arguments.setdefault("response", "kd")
        _check.one_of(("kd",), response=given)
        super().__init__(backbone, teachers, **arguments)
        _check.at_least(0, adapter_weight=adapter_weight)
        _check.at_least(1, adapter_dim=adapter_dim)
        self.arguments["stop_gradient"] = False  # the teacher's side learns
        classes = self.classifier.out_features
        self.adapter = nn.Sequential(
            nn.Linear(classes, adapter_dim), nn.ReLU(inplace=True), nn.Linear(adapter_dim, classes)
        )
        for parameter in self.adapter[2].parameters():
            nn.init.zeros_(parameter)  # so that it adds nothing at first
        self.adapter_weight = adapter_weight

    def taught(
        self, logits: Tensor, answers: Sequence[Tensor], batch: Batch, wanted: Tensor
    ) -> Tensor:
        """Return the () weighted losses of the student and of the adapted answers."""
        said = mean_answer(answers, self.temperature)
        adapted = said + self.adapter(said)
        right = soft_cross_entropy_loss(adapted, wanted)
        return super().taught(logits, [adapted], batch, wanted) + self.adapter_weight * right
