"""TriNet: In Defense of the Triplet Loss for Person Re-Identification (1703.07737)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import DRAWINGS

TRINET = {**DRAWINGS, "method": "trinet"}


def _arm(name: str, **loss: object) -> Arm:
    return Arm(name=name, settings={"loss_arguments": loss})


CLAIMS = (
    Claim(
        name="batch-hard",
        says="Batch Hard with the soft margin beats Batch All",
        where="section 4.2, table 1",
        arms=(
            _arm("Batch Hard, soft"),
            _arm("Batch All, soft", mining="batch_all"),
            _arm("Batch All, 0.2", mining="batch_all", margin=0.2),
        ),
        comparisons=(
            Comparison(better="Batch Hard, soft", worse="Batch All, soft"),
            Comparison(better="Batch Hard, soft", worse="Batch All, 0.2"),
        ),
        settings=TRINET,
        source="omniglot",
        measure="recall_at_1",
        note="letters of alphabets that were not trained on, in place of people",
    ),
    Claim(
        name="non-zero",
        says="Batch All needs the mean over the triplets that are not yet satisfied",
        where="section 4.2, table 1",
        arms=(
            _arm("non-zero", mining="batch_all", margin=0.2, reduction="mean_nonzero"),
            _arm("all", mining="batch_all", margin=0.2, reduction="mean"),
        ),
        comparisons=(Comparison(better="non-zero", worse="all"),),
        settings=TRINET,
        source="omniglot",
        measure="recall_at_1",
        note="letters of alphabets that were not trained on, in place of people",
    ),
)
