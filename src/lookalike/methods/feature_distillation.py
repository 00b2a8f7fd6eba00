"""Feature and relation distillation: a student's layer learns from a teacher's.

FitNets, attention transfer, NST, VID, RKD, similarity preserving, PKT, correlation congruence and
CRD, as the survey of Gou et al. 2020 (arXiv:2006.05525) has them: each a file in `losses/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from torch import Tensor

from lookalike import _check, registry
from lookalike.backbones.base import Backbone
from lookalike.methods.base import Batch
from lookalike.methods.distillation import Distillation
from lookalike.nn.feature_matching import FeatureMatching
from lookalike.nn.gather import gather
from lookalike.nn.teacher import Teacher


class FeatureDistillation(Distillation):
    """See in a layer what the teacher sees in one of its own, beside the answers.

    Args:
        teachers: the layer is the first one's.
        feature: the loss.
        feature_weight: >= 0, of that loss; docs/distillation_losses.md converts published ones.
        student_layer: a module of the backbone, by name, such as layers.8; none: what it returns,
            or its last map where the loss is of maps.
        teacher_layer: likewise of the teacher, such as backbone.layers.8.
        label_weight: of the cross entropy with labels.
        response_weight: of the loss of answers.
        arguments: what `Distillation` takes besides.

    Raises:
        ValueError: a layer does not exist, or the two cannot be compared.

    Deviations: a layer is learnt together with the labels, where FitNets learns it first; crd
    compares within the batch, and `--method crd` with the paper's memory.
    """

    def __init__(
        self,
        backbone: Backbone,
        teachers: Sequence[Teacher] = (),
        *,
        feature: Literal[
            "fitnet",
            "attention_transfer",
            "nst",
            "vid",
            "rkd",
            "similarity_preserving",
            "pkt",
            "correlation_congruence",
            "crd",
        ] = "rkd",
        feature_weight: float = 1.0,
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
        _check.at_least(0, feature_weight=feature_weight)
        loss = registry.load(registry.locate("losses", f"{feature}_loss"))
        both_learn = (
            {"stop_gradient": False} if feature == "crd" else {}
        )  # the teacher's layer, too
        self.compare_layers: Callable[..., Tensor] = partial(loss, **both_learn)
        if teachers:
            layers = {"student_layer": student_layer, "teacher_layer": teacher_layer}
            self.matching = FeatureMatching(feature, backbone, teachers[0], **layers)
        self.feature_weight = feature_weight

    @property
    def asks_by_index(self) -> bool:
        """Never: the teacher's layers are looked at, and it has to see for that."""
        return False

    def taught(
        self, logits: Tensor, answers: Sequence[Tensor], batch: Batch, wanted: Tensor
    ) -> Tensor:
        """Return the () weighted loss of the layers and of the answers."""
        student, teacher, *variance = self.matching()
        layers = self.compare_layers(gather(student), gather(teacher), *variance)
        return super().taught(logits, answers, batch, wanted) + self.feature_weight * layers
