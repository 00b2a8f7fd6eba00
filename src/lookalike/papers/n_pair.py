"""N-pair: Improved Deep Metric Learning with Multi-class N-pair Loss Objective (NeurIPS 2016)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import DRAWINGS

CLAIMS = (
    Claim(
        name="pairs",
        says="one positive against negatives of all other classes beats pairs one by one, with the "
        "same batches",
        where="section 4.2",
        arms=(
            Arm(name="N-pair"),
            Arm(
                name="contrastive",
                settings={"loss": "batch_contrastive", "loss_arguments": {"balanced": True}},
            ),
        ),
        comparisons=(Comparison(better="N-pair", worse="contrastive"),),
        settings={**DRAWINGS, "method": "n_pair"},
        source="omniglot",
        measure="recall_at_1",
        note="letters of alphabets that were not trained on",
    ),
)
