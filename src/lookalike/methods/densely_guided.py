"""DGKD: densely guided distillation. Son et al. 2021, arXiv:2009.08825, equations 5 and 6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.methods.base import Batch
from lookalike.methods.distillation import Distillation
from lookalike.nn.gather import gather
from lookalike.nn.teacher import Teacher

_STEP = 0.6180339887498949
"""Irrational: its multiples, without their whole part, choose every teacher equally often."""


class DenselyGuided(Distillation):
    """Learn from a teacher and from all its assistants at once, each by itself; some are silent.

    An error that the first assistant made then does not run down the whole chain. Labels weigh as
    much as beside each of the teachers alone.

    Args:
        teachers: the teacher and its assistants, in any order.
        silent: teachers that are not heard in a step, another choice in each, >= 0 and fewer than
            there are (authors' code: 1; the paper draws their number as well).
        arguments: what `Distillation` takes besides.

    Raises:
        ValueError: silent is out of its range.

    Deviations: who is silent follows from the positions of the batch's images and not from a
    generator, so that it is the same on any number of processes.
    """

    def __init__(
        self,
        backbone: Backbone,
        teachers: Sequence[Teacher] = (),
        *,
        silent: int = 0,
        **arguments: Any,
    ) -> None:
        super().__init__(backbone, teachers, **arguments)
        _check.at_least(0, silent=silent)
        if teachers and silent >= len(teachers):
            raise ValueError(f"silent must be less than the {len(teachers)} teachers, got {silent}")
        self.silent = silent
        self.label_weight *= max(len(teachers), 1)

    def taught(
        self, logits: Tensor, answers: Sequence[Tensor], batch: Batch, wanted: Tensor
    ) -> Tensor:
        """Return the () sum of the weighted losses of (B, C) logits against those who are heard."""
        count = len(answers)
        alone = super().taught
        losses = torch.stack([alone(logits, [each], batch, wanted) for each in answers])
        first = (gather(batch.index).double().sum() * _STEP) % 1 * count  # in [0, count)
        places = (torch.arange(count, device=logits.device) - first.floor()) % count
        return (losses * (places >= self.silent)).sum()
