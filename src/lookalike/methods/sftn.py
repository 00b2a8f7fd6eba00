"""SFTN: a teacher trained so that its student can follow. Park et al. 2021, arXiv:2102.07650."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone, EncodesInStages
from lookalike.backbones.build import build_backbone
from lookalike.losses.kd import kd_loss
from lookalike.methods.base import Batch, Step
from lookalike.methods.supervised import Supervised
from lookalike.nn.adapters import adapt
from lookalike.nn.gather import gather
from lookalike.nn.mixup import mix


class SFTN(Supervised):
    """Train a teacher with branches of its student, which see its maps and answer as it does.

    After each stage but the last, a 1 x 1 convolution with batch normalisation leads to what the
    student has after as many stages. Branches have weights of their own and serve training alone:
    the encoder that a run keeps is the teacher's, and its classifier is what a student finds.

    Args:
        student: backbone of the student to come; the command line names it with --student.
        student_arguments: of that backbone, by name.
        label_weight: >= 0, of the teacher's loss of labels (paper: 1).
        divergence_weight: >= 0, of the mean of KL(branch || teacher), which pulls at both (paper:
            3).
        branch_label_weight: >= 0, of the branches' mean loss of labels (paper: 1).
        temperature: > 0, that both answers are softened by (paper: 1).
        arguments: what `Supervised` takes besides.

    Raises:
        UsageError: there is no such student, or it takes no such arguments.
        ValueError: teacher or student has no stages, or not as many as the other; a number is out
            of its range.

    Deviations: a branch sees maps of the teacher's size, also where the student's own are smaller
    or larger; weights and the direction of the divergence are as others tell them.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        class_count: int,
        student: str = "small_conv",
        student_arguments: Mapping[str, Any] | None = None,
        label_weight: float = 1.0,
        divergence_weight: float = 3.0,
        branch_label_weight: float = 1.0,
        temperature: float = 1.0,
        **arguments: Any,
    ) -> None:
        super().__init__(backbone, class_count=class_count, **arguments)
        _check.at_least(0, label_weight=label_weight, divergence_weight=divergence_weight)
        _check.at_least(0, branch_label_weight=branch_label_weight)
        _check.positive(temperature=temperature)
        teacher = _in_stages(backbone, "backbone")
        self.branches = nn.ModuleList()
        for stage in range(1, len(teacher.widths)):
            network = build_backbone(student, **(student_arguments or {}))
            staged = _in_stages(network, "student")
            if len(staged.widths) != len(teacher.widths):
                raise ValueError(
                    f"student must have as many stages as the backbone, {len(teacher.widths)}, got "
                    f"the {len(staged.widths)} of {student}"
                )
            lead = adapt((teacher.widths[stage - 1], 1, 1), (staged.widths[stage - 1], 1, 1))
            answer = nn.Linear(network.dim, class_count)
            self.branches.append(nn.Sequential(lead, staged.after(stage), answer))
        self.label_weight = label_weight
        self.divergence_weight = divergence_weight
        self.branch_label_weight = branch_label_weight
        self.temperature = temperature

    def forward(self, batch: Batch) -> Step:
        """Return the weighted sum of the teacher's loss and of the means over its branches."""
        (view,), wanted = batch.views, self.targets(batch.labels)
        if self.mixup:
            view, wanted = mix(view, wanted, gather(batch.index))
        maps = cast(EncodesInStages, self.backbone).stages(view)
        teacher = self.classifier(maps[-1].mean(dim=(2, 3)))
        students = [branch(each) for branch, each in zip(self.branches, maps[:-1], strict=True)]
        fitted = torch.stack([self.measure(each, wanted) for each in students]).mean()
        apart = torch.stack([self._divergence(each, teacher) for each in students]).mean()
        loss = self.label_weight * self.measure(teacher, wanted)
        loss = loss + self.divergence_weight * apart + self.branch_label_weight * fitted
        right = (teacher.detach().argmax(1) == batch.labels).to(wanted.dtype).mean()
        return Step(loss, {"right": right, "divergence": apart.detach()})

    def _divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return T^2 KL(student || teacher): the student is the one whose classes weigh."""
        return kd_loss(teacher, student, temperature=self.temperature, stop_gradient=False)


def _in_stages(network: Backbone, name: str) -> EncodesInStages:
    """Return a network that has stages, two at least.

    Raises:
        ValueError: it has none.
    """
    if not isinstance(network, EncodesInStages) or len(network.widths) < 2:
        raise ValueError(
            f"{name} must be of several stages, such as small_conv or resnet18, got "
            f"{type(network).__name__}, which has no stages(images), after(stage) and widths"
        )
    return network
