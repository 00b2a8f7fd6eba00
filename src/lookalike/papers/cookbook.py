"""A Cookbook of Self-Supervised Learning (2304.12210)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.papers.claims import Arm, BestBeatsEnd, Claim, SameOrder

SMALL = {
    "method": "simclr",
    "backbone": "resnet18",
    "backbone_arguments": {"width": 16, "stem": "strided"},
    "size": 32,
    "views": "simclr_small",
    "views_arguments": {"area": (0.2, 1.0)},
    "batch_size": 64,
    "epochs": 25,
    "base_lr": 0.03,
    "lr_scaling": "square_root",
    "optim_arguments": {"weight_decay": 1e-3},
    "monitor_every": 1000,
}
"""What every arm shares unless it says otherwise: the settings of SimCLR's claims."""

_INSIDE = ("backbone", "projector 1", "projector 2")
_END = "projector 3"

_WAYS: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "T 0.1": {"method_arguments": {"temperature": 0.1}},
    "T 1": {"method_arguments": {"temperature": 1.0}},
    "rate / 10": {"base_lr": 0.003},
    "rate x 3": {"base_lr": 0.09},
    "decay x 10": {"optim_arguments": {"weight_decay": 1e-2}},
    "linear head": {"method_arguments": {"layers": 1}},
    "no head": {"method_arguments": {"layers": 0}},
}
"""Ways to set the knobs of one method, one at a time."""


CLAIMS = (
    Claim(
        name="guillotine",
        says="the best layer to use is before the end of the head",
        where="section 3.2",
        arms=tuple(
            Arm(name=name, measure=f"{name.replace(' ', '_')}_linear_top1")
            for name in (*_INSIDE, _END)
        ),
        comparisons=(BestBeatsEnd(candidates=_INSIDE, end=_END, margin=0.02),),
        settings={**SMALL, "method_arguments": {"layers": 3}},
        note="every arm is the same training, seen after another layer of its network",
    ),
    Claim(
        name="rankme",
        says="RankMe, which needs no labels, puts the settings of one method in the order of their "
        "accuracy",
        where="section 3.7",
        arms=tuple(
            arm
            for name, settings in _WAYS.items()
            for arm in (
                Arm(name=f"{name}, RankMe", settings=settings, measure="rankme_share"),
                Arm(name=f"{name}, kNN", settings=settings, measure="knn_top1"),
            )
        ),
        comparisons=(
            SameOrder(
                pairs=tuple((f"{name}, RankMe", f"{name}, kNN") for name in _WAYS), above=0.5
            ),
        ),
        settings={**SMALL, "epochs": 8},
        note="RankMe is that of the representation of the test images, as a share of its width; "
        "eight settings a seed, and the rule asks for the correlation over them",
    ),
)
