"""NPID: Unsupervised Feature Learning via Non-Parametric Instance Discrimination (1805.01978)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import SMALL

NPID = {
    **SMALL,
    "method": "npid",
    "views": "npid",
    "base_lr": 0.0075,
    "lr_scaling": "square_root",
    "epochs": 40,
    "method_arguments": {"objective": "softmax", "temperature": 0.1},
}


def _arm(name: str, **changes: object) -> Arm:
    return Arm(name=name, settings={"method_arguments": {"temperature": 0.1, **changes}})


CLAIMS = (
    Claim(
        name="parametric",
        says="a softmax over what was last seen of each image beats one over learned weights",
        where="section 4.1, table 2",
        arms=(
            Arm(name="non-parametric"),
            _arm("parametric", objective="parametric"),
        ),
        comparisons=(Comparison(better="non-parametric", worse="parametric", margin=0.02),),
        settings=NPID,
        measure="knn_top1",
    ),
    Claim(
        name="noise",
        says="more noise samples come nearer to the full softmax",
        where="section 4.1, table 2",
        arms=(
            *(_arm(f"NCE, {m} of noise", objective="nce", noise=m) for m in (1, 16, 256)),
            Arm(name="softmax"),
        ),
        comparisons=(
            Comparison(better="NCE, 16 of noise", worse="NCE, 1 of noise"),
            Comparison(better="NCE, 256 of noise", worse="NCE, 1 of noise", margin=0.02),
            Comparison(better="softmax", worse="NCE, 1 of noise", margin=0.02),
        ),
        settings=NPID,
        measure="knn_top1",
        note="1 to 256 of 1,546 images stand for 1 to 4096 of 50,000",
    ),
)
