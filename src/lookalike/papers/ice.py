"""ICE: Instance Cross Entropy for Deep Metric Learning (1911.09976)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison

_DIFFERENCE = "lookalike.papers.identities:ice_against_nt_xent"

CLAIMS = (
    Claim(
        name="one-positive",
        says="with one positive an image it is SimCLR's loss, NT-Xent, to the last digits; with "
        "more it is not",
        where="section 3.3, on its relation to softmax",
        arms=(
            Arm(name="one positive", settings={"positives": 1}, experiment=_DIFFERENCE),
            Arm(name="three positives", settings={"positives": 3}, experiment=_DIFFERENCE),
            Arm(name="rounding", experiment="lookalike.papers.identities:rounding"),
        ),
        comparisons=(
            Comparison(better="rounding", worse="one positive"),
            Comparison(better="three positives", worse="rounding", margin=0.01),
        ),
        unit="nats",
        note="the largest difference of value or gradient, in float64; the arm that must have "
        "more stands first",
    ),
)
