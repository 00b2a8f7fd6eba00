"""Teacher-free distillation. Yuan et al. 2020, arXiv:1909.11723, section 5, Tf-KD by rule."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.kd import kd_loss
from lookalike.losses.soft_cross_entropy import soft_cross_entropy_loss
from lookalike.methods.supervised import Supervised


class TeacherFree(Supervised):
    """Learn from a teacher who is made up: nearly sure of the label, and even about the rest.

    Args:
        sureness: what that teacher gives the label, in (1 / C, 1); the rest is spread evenly
            (paper: 0.99).
        temperature: > 0, that both answers are softened by (paper: 20).
        alpha: share of what is learnt from the teacher, in [0, 1]; the rest is from the label
            (paper: 0.1).
        arguments: what `Supervised` takes besides.

    Raises:
        ValueError: a number is out of its range.

    Deviations: the teacher's probabilities are softened as those of any teacher are, by dividing
    their logarithms by the temperature; the authors' code puts probabilities where logits belong,
    which makes the teacher almost even.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        class_count: int,
        sureness: float = 0.99,
        temperature: float = 20.0,
        alpha: float = 0.1,
        **arguments: Any,
    ) -> None:
        super().__init__(backbone, class_count=class_count, **arguments)
        _check.positive(temperature=temperature)
        _check.fraction(alpha=alpha)
        if not 1 / class_count < sureness < 1:
            raise ValueError(f"sureness must lie between 1 / {class_count} and 1, got {sureness}")
        self.sureness = sureness
        self.temperature = temperature
        self.alpha = alpha

    def measure(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """Return the () loss of (B, C) logits against labels and the teacher who is made up."""
        rest = (1 - self.sureness) / (self.class_count - 1)
        virtual = rest + (self.sureness - rest) * wanted
        taught = kd_loss(logits, torch.log(virtual), temperature=self.temperature)
        return torch.lerp(soft_cross_entropy_loss(logits, wanted), taught, self.alpha)
