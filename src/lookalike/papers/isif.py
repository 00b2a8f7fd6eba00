"""ISIF: Embedding Learning via Invariant and Spreading Instance Feature (1904.03436)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import SMALL

ISIF = {
    **SMALL,
    "method": "isif",
    "views": "isif",
    "base_lr": 0.015,
    "lr_scaling": "square_root",
}

_NPID = {
    "method": "npid",
    "views": "npid",
    "method_arguments": {"objective": "softmax", "temperature": 0.1},
}

CLAIMS = (
    Claim(
        name="spreading",
        says="without the term that spreads images it is worse",
        where="section 4, equation 6",
        arms=(
            Arm(name="ISIF"),
            Arm(name="no spreading", settings={"method_arguments": {"spread": 0.0}}),
        ),
        comparisons=(Comparison(better="ISIF", worse="no spreading"),),
        settings=ISIF,
        measure="knn_top1",
    ),
    Claim(
        name="fast",
        says="it learns faster per epoch than instance discrimination with a memory bank",
        where="section 4.1, figure 3",
        arms=(
            Arm(name="ISIF, 5 epochs", settings={"epochs": 5}),
            Arm(name="NPID, 5 epochs", settings={**_NPID, "epochs": 5}),
            Arm(name="ISIF, 15 epochs"),
            Arm(name="NPID, 15 epochs", settings=_NPID),
        ),
        comparisons=(
            Comparison(better="ISIF, 5 epochs", worse="NPID, 5 epochs", margin=0.02),
            Comparison(better="ISIF, 15 epochs", worse="NPID, 15 epochs"),
        ),
        settings=ISIF,
        measure="knn_top1",
        note="an epoch of ISIF shows each image twice, one of NPID once",
    ),
)
