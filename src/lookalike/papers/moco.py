"""MoCo: Momentum Contrast for Unsupervised Visual Representation Learning (1911.05722)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import SMALL

_ARGUMENTS = {"queue_size": 512, "momentum": 0.99, "temperature": 0.1, "layers": 1}
"""The authors' settings for CIFAR-10, but for a queue in the terms of a few hundred steps."""

MOCO = {
    **SMALL,
    "method": "moco",
    "views": "moco_small",
    "base_lr": 0.12,
    "lr_scaling": "linear",
    "method_arguments": _ARGUMENTS,
}


def _arm(name: str, measure: str | None = None, **changes: object) -> Arm:
    arguments = {**_ARGUMENTS, **changes}
    return Arm(name=name, settings={"method_arguments": arguments}, measure=measure)


CLAIMS = (
    Claim(
        name="momentum",
        says="a slowly moving key encoder works, one that is the query encoder itself does not",
        where="section 4.1, the table on momentum",
        arms=tuple(_arm(f"momentum {m:g}", momentum=m) for m in (0.99, 0.9, 0.0)),
        comparisons=(
            Comparison(better="momentum 0.99", worse="momentum 0", margin=0.05),
            Comparison(better="momentum 0.9", worse="momentum 0", margin=0.05),
        ),
        settings=MOCO,
        note="some hundred steps, where 0.99 is what 0.999 is to the paper's million",
    ),
    Claim(
        name="negatives",
        says="more negatives help",
        where="section 4.1, figure 3",
        arms=tuple(_arm(f"queue of {size}", queue_size=size) for size in (8, 64, 512)),
        comparisons=(
            Comparison(better="queue of 64", worse="queue of 8"),
            Comparison(better="queue of 512", worse="queue of 64"),
        ),
        settings=MOCO,
        note="8 to 512 keys stand for 256 to 65,536",
    ),
    Claim(
        name="rise",
        says="the loss rises before it falls",
        where="the log of the authors' CIFAR-10 demonstration",
        arms=(
            _arm("highest", measure="highest_loss"),
            _arm("first", measure="first_loss"),
            _arm("last", measure="last_loss"),
        ),
        comparisons=(
            Comparison(better="highest", worse="first", margin=0.02),
            Comparison(better="highest", worse="last", margin=0.02),
        ),
        settings=MOCO,
        measure="first_loss",
        unit="nats",
        note="means over ten steps; the queue starts as random vectors, easily told apart",
    ),
)
