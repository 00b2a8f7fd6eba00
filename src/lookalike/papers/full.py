"""A claim's experiment at full size: CIFAR-10, a whole ResNet-18, 200 epochs; for a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lookalike.papers.claims import Arm, Claim

EPOCHS, BATCH = 200, 512
SOURCE = "cifar10"

OF_THE_SCALE = frozenset(
    {
        "backbone", "backbone_arguments", "size", "views_arguments", "optim_arguments",
        "base_lr", "lr_scaling", "warmup_epochs",
    }
)  # fmt: skip
"""Settings that a small experiment chooses for its size; at full size the method does."""

NETWORK = frozenset({"backbone", "backbone_arguments", "size"})
"""Of these, what stays where one network teaches another: how large both are is what it is about.
"""

EARLIER = frozenset({"taught_by", "starts_from"})
"""Settings that hold those of a run that comes first."""


def full_scale(claim: Claim) -> Claim:
    """Return a claim with its arms and its rule as they are, and its experiment at full size.

    Epochs and batches grow alike for all arms, so that what is half as long stays half as long.
    Everything else that a small experiment chose for its size is left to the method's own recipe;
    what an arm alone sets is what it is about, and stays, unless it brings a method of its own.
    Arms that do not train stay as they are.
    """
    if not claim.trains:
        return claim
    epochs = EPOCHS / claim.settings["epochs"]
    batch = BATCH / claim.settings.get("batch_size", 64)
    teaches = any("taught_by" in arm.settings for arm in claim.arms)
    dropped = OF_THE_SCALE - (NETWORK if teaches else set())

    def grown(settings: Mapping[str, Any]) -> dict[str, Any]:
        full = dict(settings)
        if "method" in settings:
            full = {name: value for name, value in settings.items() if name not in dropped}
        if "epochs" in full:
            full["epochs"] = round(full["epochs"] * epochs)
        if "batch_size" in full:
            full["batch_size"] = round(full["batch_size"] * batch)
        for before in EARLIER & full.keys():
            full[before] = grown(full[before])
        return full

    def grown_arm(arm: Arm) -> Arm:
        return arm if arm.experiment else replace(arm, settings=grown(arm.settings))

    return replace(
        claim,
        arms=tuple(map(grown_arm, claim.arms)),
        settings=grown(claim.settings),
        source=SOURCE,
        note="; ".join(filter(None, [claim.note, "at full size"])),
    )
