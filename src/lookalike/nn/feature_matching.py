"""A layer of a student beside one of its teacher, in the shapes that a loss compares."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lookalike.nn.adapters import adapt
from lookalike.nn.taps import Taps, last_map, layer_shapes
from lookalike.nn.teacher import Teacher

_OF_MAPS = ("attention_transfer", "nst")
"""Losses that compare where in an image something is: vectors will not do."""

CONTRASTED = 128
"""Width of the space that contrastive distillation compares in (arXiv:1910.10699)."""


class FeatureMatching(nn.Module):
    """What a loss of features compares: read off two networks that have just seen one view.

    Args:
        loss: its name: fitnet and vid get the student's layer in the shape of the teacher's, crd
            gets both in a common space, all others the two layers as they are.
        backbone: the student.
        teacher: the teacher.
        student_layer: name of a module of the backbone; none: what it returns, or its last map
            where the loss is of maps.
        teacher_layer: likewise of the teacher's network, whose representation is "backbone" where
            it has one.

    Raises:
        ValueError: there is no such layer, or the loss cannot compare the two.
    """

    def __init__(
        self,
        loss: str,
        backbone: nn.Module,
        teacher: Teacher,
        *,
        student_layer: str | None = None,
        teacher_layer: str | None = None,
    ) -> None:
        super().__init__()
        shapes = [layer_shapes(each, size=teacher.size) for each in (backbone, teacher.network)]
        names = [
            _chosen(name, each, maps=loss in _OF_MAPS)
            for name, each in zip((student_layer, teacher_layer), shapes, strict=True)
        ]
        self._student = Taps(backbone, names[:1])
        self._teacher = Taps(teacher.network, names[1:])
        student, taught = (each.get(name, ()) for name, each in zip(names, shapes, strict=True))
        _refuse(loss, (names[0], student), (names[1], taught))
        self.adapter: nn.Module = nn.Identity()
        self.contrast: nn.Module = nn.Identity()
        self.log_variance: nn.Parameter | None = None
        if loss in ("fitnet", "vid"):
            self.adapter = adapt(student, taught)
        if loss == "vid":  # a variance a channel, 5 at first as in the paper's code
            self.log_variance = nn.Parameter(torch.full((taught[0],), math.log(5.0)))
        if loss == "crd":
            self.adapter = nn.Linear(student[0], CONTRASTED)
            self.contrast = nn.Linear(taught[0], CONTRASTED)

    def forward(self) -> tuple[Tensor, ...]:
        """Return what the loss takes: the student's, the teacher's and, for vid, its scale."""
        (student,), (teacher,) = self._student.take(), self._teacher.take()
        pair = (self.adapter(student), self.contrast(teacher.detach().to(student.dtype)))
        return pair if self.log_variance is None else (*pair, self.log_variance)


def _chosen(name: str | None, shapes: dict[str, tuple[int, ...]], *, maps: bool) -> str:
    if name is not None:
        return name
    if maps:
        return last_map(shapes)
    return "backbone" if "backbone" in shapes else ""


def _refuse(loss: str, *layers: tuple[str, tuple[int, ...]]) -> None:
    """Raise where a loss cannot compare two layers, of these names and shapes."""
    wanted = {3} if loss in _OF_MAPS else {1} if loss in ("crd", "rkd", "pkt") else {1, 3}
    for name, shape in layers:
        if shape and len(shape) not in wanted:
            kind = "maps (C, H, W)" if 3 in wanted else "vectors (D,)"
            raise ValueError(f"{loss} compares {kind}, and layer {name!r} makes {shape}")
