"""SimCLR v2: Big Self-Supervised Models are Strong Semi-Supervised Learners (2006.10029)."""

from __future__ import annotations

from typing import Any

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import TEACHING

_NETWORK = {
    "backbone": "resnet18",
    "backbone_arguments": {"width": 16, "stem": "strided", "zero_init_residual": False},
}
_SHARE = 0.03  # of the labels: five photos of each class
_SHARED = {name: value for name, value in TEACHING.items() if name != "batch_size"}
_PRETRAINED = {
    **_SHARED,
    **_NETWORK,
    "method": "simclr",
    "epochs": 20,
    "views_arguments": {"area": (0.2, 1.0)},
    "method_arguments": {"layers": 3, "temperature": 0.5},
}
_FEW: dict[str, Any] = {"method": "supervised", "labels": _SHARE, "epochs": 60}
_START = {"starts_from": _PRETRAINED, "from_layer": "projector 1"}
_TUNED = {**_SHARED, **_FEW, **_START}
_ALONE = {**_SHARED, **_FEW, **_NETWORK}
_FROM_TEACHER = {"response_weight": 1.0, "label_weight": 0.0, "temperature": 1.0}
_GUESSED = {"response": "pseudo_label", "response_weight": 1.0, "label_weight": 0.0}

CLAIMS = (
    Claim(
        name="few-labels",
        says="with few labels, pretraining without any, fine-tuning and distillation beat the "
        "labels alone, and pseudo-labels fall between",
        where="section 3, table 2, and figure 1",
        arms=(
            Arm(
                name="distilled",
                settings={
                    "method": "distillation",
                    "taught_by": _TUNED,
                    **_START,
                    "method_arguments": _FROM_TEACHER,
                },
            ),
            Arm(name="fine-tuned", settings={**_FEW, **_START}),
            Arm(
                name="pseudo-labels",
                settings={
                    "method": "distillation",
                    "taught_by": _ALONE,
                    **_NETWORK,
                    "method_arguments": _GUESSED,
                },
            ),
            Arm(name="labels alone", settings={**_FEW, **_NETWORK}),
        ),
        comparisons=(
            Comparison(better="distilled", worse="labels alone", margin=0.08),
            Comparison(better="pseudo-labels", worse="labels alone"),
            Comparison(better="distilled", worse="pseudo-labels"),
        ),
        settings=_SHARED,
        measure="classifier_top1",
        note="3 % of 1,546 labels, a narrow ResNet-18, the student no smaller than its teacher",
    ),
)
