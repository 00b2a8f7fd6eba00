"""SimSiam: Exploring Simple Siamese Representation Learning (2011.10566)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import SMALL

SIMSIAM = {
    **SMALL,
    "method": "simsiam",
    "views": "simsiam_small",
    "base_lr": 0.015,
    "lr_scaling": "square_root",
    "method_arguments": {"layers": 2},
}


def _arm(name: str, **changes: object) -> Arm:
    return Arm(name=name, settings={"method_arguments": {"layers": 2, **changes}})


CLAIMS = (
    Claim(
        name="stop-gradient",
        says="without stop-gradient it collapses, and without a predictor too",
        where="section 4.1, figure 2, and section 4.2, table 1",
        arms=(
            Arm(name="SimSiam"),
            _arm("no stop-gradient", stop_gradient=False),
            _arm("no predictor", predict=False),
        ),
        comparisons=(
            Comparison(better="SimSiam", worse="no stop-gradient", margin=0.2),
            Comparison(better="SimSiam", worse="no predictor", margin=0.2),
        ),
        settings=SIMSIAM,
        measure="last_spread",
        note="the score is the spread of the projections of views: 100 % is healthy, 0 collapsed",
    ),
    Claim(
        name="batch-norm",
        says="without batch normalisation in the heads it learns much less",
        where="section 4.4, table 3",
        arms=(
            Arm(name="SimSiam"),
            _arm("hidden layers only", batch_norm="hidden"),
            _arm("no batch norm", batch_norm="none"),
        ),
        comparisons=(
            Comparison(better="SimSiam", worse="no batch norm", margin=0.05),
            Comparison(better="hidden layers only", worse="no batch norm", margin=0.05),
        ),
        settings=SIMSIAM,
        note="no warm-up for the arm without, where the paper needs one",
    ),
)
