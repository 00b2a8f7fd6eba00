"""SimCLR: A Simple Framework for Contrastive Learning of Visual Representations (2002.05709)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import SMALL

SIMCLR = {
    **SMALL,
    "method": "simclr",
    "backbone_arguments": {"width": 16, "stem": "strided"},
    "views": "simclr_small",
    "epochs": 25,
    "base_lr": 0.03,
    "lr_scaling": "square_root",
}
"""What every arm shares unless it says otherwise. An arm that changes nothing is trained once for
all claims: SimCLR as it is, with a nonlinear head and NT-Xent at 0.5."""

_CROP = {"area": (0.2, 1.0), "ratio": (3 / 4, 4 / 3)}
_COLOUR = {"jitter": (0.4, 0.4, 0.4, 0.1), "jitter_probability": 0.8, "grey": 0.2}
_BLUR = {"blur": 0.5}
_SOLARISE = {"solarise": 0.5}


def _pair(name: str, *parts: Mapping[str, Any]) -> Arm:
    changes = {key: value for part in parts for key, value in part.items()}
    return Arm(name=name, settings={"views": "identity", "views_arguments": changes})


CLAIMS = (
    Claim(
        name="augmentations",
        says="crop plus colour beats every other pair of augmentations",
        where="section 3.1, figure 5",
        arms=(
            _pair("crop + colour", _CROP, _COLOUR),
            _pair("crop + blur", _CROP, _BLUR),
            _pair("crop + solarise", _CROP, _SOLARISE),
            _pair("colour + blur", _COLOUR, _BLUR),
            _pair("colour + solarise", _COLOUR, _SOLARISE),
            _pair("blur + solarise", _BLUR, _SOLARISE),
        ),
        comparisons=tuple(
            Comparison(better="crop + colour", worse=worse)
            for worse in (
                "crop + blur",
                "crop + solarise",
                "colour + blur",
                "colour + solarise",
                "blur + solarise",
            )
        ),
        settings={**SIMCLR, "epochs": 15},
        note="both views are changed, where the paper changes one; four kinds of change, not seven",
    ),
    Claim(
        name="head",
        says="a nonlinear head beats a linear one, which beats none; and what comes before the "
        "head beats what comes after it",
        where="section 4.2, figure 8 and table 3",
        arms=(
            Arm(name="nonlinear head"),
            Arm(name="linear head", settings={"method_arguments": {"layers": 1}}),
            Arm(name="no head", settings={"method_arguments": {"layers": 0}}),
            Arm(name="nonlinear head, after it", measure="head_linear_top1"),
        ),
        comparisons=(
            Comparison(better="nonlinear head", worse="linear head"),
            Comparison(better="linear head", worse="no head"),
            Comparison(better="nonlinear head", worse="nonlinear head, after it"),
        ),
        settings=SIMCLR,
    ),
    Claim(
        name="batch-size",
        says="larger batches help when training is short",
        where="section 5.1, figure 9",
        arms=tuple(
            Arm(name=f"batch {size}", settings={"batch_size": size}) for size in (16, 64, 256)
        ),
        comparisons=(
            Comparison(better="batch 64", worse="batch 16"),
            Comparison(better="batch 256", worse="batch 64"),
        ),
        settings={**SIMCLR, "epochs": 15, "base_lr": 0.9, "lr_scaling": "linear"},
        note="batches of 16 to 256 stand for 256 to 8192; 15 epochs stand for 100",
    ),
    Claim(
        name="loss",
        says="NT-Xent beats the margin and the logistic loss",
        where="section 5.2, table 4",
        arms=(
            Arm(name="NT-Xent"),
            Arm(name="NT-Logistic", settings={"method_arguments": {"objective": "nt_logistic"}}),
            Arm(name="margin", settings={"method_arguments": {"objective": "margin"}}),
        ),
        comparisons=(
            Comparison(better="NT-Xent", worse="NT-Logistic"),
            Comparison(better="NT-Xent", worse="margin"),
        ),
        settings=SIMCLR,
        note="one temperature and one margin each, where the paper tunes them",
    ),
    Claim(
        name="normalisation",
        says="normalised embeddings with a fitting temperature beat raw dot products",
        where="section 5.2, table 5",
        arms=(
            Arm(name="cosine, T 0.5"),
            Arm(name="cosine, T 0.05", settings={"method_arguments": {"temperature": 0.05}}),
            *(
                Arm(
                    name=f"dot product, T {t:g}",
                    settings={"method_arguments": {"temperature": t, "normalise": False}},
                )
                for t in (10.0, 100.0)
            ),
        ),
        comparisons=(
            Comparison(better="cosine, T 0.5", worse="dot product, T 10"),
            Comparison(better="cosine, T 0.5", worse="dot product, T 100"),
        ),
        settings=SIMCLR,
    ),
)
