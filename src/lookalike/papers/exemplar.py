"""Exemplar-CNN: Discriminative Unsupervised Feature Learning (1406.6909)."""

from __future__ import annotations

from typing import Any

from lookalike.papers.claims import Arm, Claim, Comparison

SMALL = {
    "method": "exemplar",
    "backbone": "exemplar_small",
    "backbone_arguments": {"width": 16, "dropout": 0.0},
    "size": 32,
    "batch_size": 32,
    "epochs": 40,
    "monitor_every": 1000,
}
"""What every arm shares unless it says otherwise: 64c5-64c5-128f at a quarter of its width and
without dropout, for about half a minute of two cores where the paper takes days. Nothing but the
learning rate was looked for, in one try on a part of the training photos."""

_LIMITS = (100, 400, 1500)
_SEEN = 60_000
"""Images, counted once an epoch, that each arm on some of the images sees in all."""


def _without(name: str, **switched: Any) -> Arm:
    return Arm(name=name, settings={"views_arguments": switched})


_COLOUR = {"principal": (1.0, 1.0), "tone": 0.0, "hue_shift": 0.0}

CLAIMS = (
    Claim(
        name="transformations",
        says="every kind of transformation helps, and translation and colour help the most",
        where="section 4.3, figure on transformations left out",
        arms=(
            Arm(name="all"),
            _without("no translation", translation=0.0),
            _without("no colour or contrast", **_COLOUR),
            _without("no rotation", rotation=0.0),
            _without("no scale", scale=(1.0, 1.0)),
        ),
        comparisons=(
            *(
                Comparison(better="all", worse=worse)
                for worse in (
                    "no translation",
                    "no colour or contrast",
                    "no rotation",
                    "no scale",
                )
            ),
            *(
                Comparison(better=better, worse=worse)
                for better in ("no rotation", "no scale")
                for worse in ("no translation", "no colour or contrast")
            ),
        ),
        settings=SMALL,
        measure="quadrant_linear_top1",
        note="photos of hands, not STL-10; 1,546 patches, not 8,000; colour and both contrasts "
        "left out together",
    ),
    Claim(
        name="classes",
        says="more surrogate classes help up to a number, and hurt beyond it",
        where="section 4.2, figure on the number of classes",
        arms=tuple(
            Arm(name=f"{limit} classes", settings={"limit": limit, "epochs": _SEEN // limit})
            for limit in _LIMITS
        ),
        comparisons=(
            Comparison(better="400 classes", worse="100 classes"),
            Comparison(better="400 classes", worse="1500 classes"),
        ),
        settings=SMALL,
        measure="quadrant_linear_top1",
        note="100 to 1,500 classes stand for 50 to 32,000, with as many steps for each; the paper "
        "is best near 8,000, so no more than the shape of its curve can be seen at this scale",
    ),
)
