"""DML: Deep Mutual Learning (1706.00384)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import TEACHING, network

CLAIMS = (
    Claim(
        name="peers",
        says="networks that learn from one another end better than one that learns alone",
        where="section 3.2, table 2",
        arms=(
            Arm(name="two peers", settings={"method": "mutual", **network(8)}),
            Arm(name="alone", settings={"method": "supervised", **network(8)}),
        ),
        comparisons=(Comparison(better="two peers", worse="alone"),),
        settings=TEACHING,
        measure="classifier_top1",
    ),
)
