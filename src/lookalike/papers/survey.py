"""Knowledge Distillation: A Survey (2006.05525), as RepDistiller's comparison has it."""

from __future__ import annotations

from typing import Any

from lookalike.papers.claims import Arm, BeatsMost, Claim
from lookalike.papers.settings import TEACHING, network, student, taught

_WEIGHTS = {
    "fitnet": 1.0,
    "attention_transfer": 60.0,
    "nst": 12.5,
    "vid": 0.005,
    "rkd": 1.0,
    "similarity_preserving": 45.0,
    "pkt": 450.0,
    "correlation_congruence": 1.0,
    "crd": 0.8,
}
"""Of losses of features: near published ones, as docs/distillation_losses.md converts them."""


def _features(feature: str, weight: float) -> Arm:
    settings: dict[str, Any] = {"feature": feature, "feature_weight": weight}
    return Arm(
        name=feature.replace("_", " "),
        settings={
            **student(taught_by=taught()),
            "method": "feature_distillation",
            "method_arguments": settings,
        },
    )


CLAIMS = (
    Claim(
        name="responses",
        says="plain distillation of answers beats most losses of features and relations",
        where="CRD (1910.10699), table 1",
        arms=(
            Arm(name="KD", settings=student(taught_by=taught())),
            *(_features(name, weight) for name, weight in _WEIGHTS.items()),
            Arm(name="labels", settings={"method": "supervised", **network(4)}),
        ),
        comparisons=(
            BeatsMost(
                better="KD",
                others=tuple(name.replace("_", " ") for name in _WEIGHTS),
                share=0.5,
            ),
        ),
        settings=TEACHING,
        measure="classifier_top1",
        note="the last layers of both networks; nothing was tuned",
    ),
)
