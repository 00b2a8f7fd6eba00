"""BYOL: Bootstrap Your Own Latent (2006.07733)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison, SmallerLoss
from lookalike.papers.settings import SMALL

BYOL = {
    **SMALL,
    "method": "byol",
    "views": "simclr_small",
    "base_lr": 0.03,
    "lr_scaling": "square_root",
    "method_arguments": {"decay": 0.97},
}
"""The paper's first decay for its shortest training."""

_NO_COLOUR = {"views_arguments": {"area": (0.2, 1.0), "jitter": (0.0,) * 4, "grey": 0.0}}
_SIMCLR = {"method": "simclr", "method_arguments": {"temperature": 0.5}}

CLAIMS = (
    Claim(
        name="predictor",
        says="without a predictor it collapses, and without a slow target nearly so",
        where="section 5, table 5",
        arms=(
            Arm(name="BYOL"),
            Arm(name="no predictor", settings={"method_arguments": {"predict": False}}),
            Arm(
                name="no slow target",
                settings={"method_arguments": {"decay": 0.0, "schedule": "constant"}},
            ),
            Arm(
                name="random target",
                settings={"method_arguments": {"decay": 1.0, "schedule": "constant"}},
            ),
        ),
        comparisons=(
            Comparison(better="BYOL", worse="no predictor", margin=0.05),
            Comparison(better="BYOL", worse="no slow target", margin=0.05),
            Comparison(better="BYOL", worse="random target", margin=0.02),
        ),
        settings=BYOL,
        note="the predictor's learning rate is the network's, as in the paper's table",
    ),
    Claim(
        name="robust",
        says="it suffers less than SimCLR from small batches and from losing colour",
        where="section 5, figure 3",
        arms=(
            Arm(name="BYOL"),
            Arm(name="BYOL, batch 16", settings={"batch_size": 16}),
            Arm(name="BYOL, no colour", settings=_NO_COLOUR),
            Arm(name="SimCLR", settings=_SIMCLR),
            Arm(name="SimCLR, batch 16", settings={**_SIMCLR, "batch_size": 16}),
            Arm(name="SimCLR, no colour", settings={**_SIMCLR, **_NO_COLOUR}),
        ),
        comparisons=(
            SmallerLoss(better=("BYOL", "BYOL, batch 16"), worse=("SimCLR", "SimCLR, batch 16")),
            SmallerLoss(better=("BYOL", "BYOL, no colour"), worse=("SimCLR", "SimCLR, no colour")),
        ),
        settings=BYOL,
        note="the learning rate follows the square root of the batch",
    ),
)
