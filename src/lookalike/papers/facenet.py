"""FaceNet: A Unified Embedding for Face Recognition and Clustering (1503.03832)."""

from __future__ import annotations

from typing import Any

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import DRAWINGS

FACENET = {**DRAWINGS, "method": "facenet"}


def _mined(mining: str) -> Arm:
    return Arm(name=mining.replace("_", "-"), settings={"loss_arguments": {"mining": mining}})


def _started(name: str, **settings: Any) -> Arm:
    return Arm(
        name=name, settings=settings, experiment="lookalike.papers.pretraining:recall_of_triplets"
    )


CLAIMS = (
    Claim(
        name="semi-hard",
        says="negatives that are semi-hard beat random ones and easy ones",
        where="section 3.2",
        arms=(_mined("semi_hard"), _mined("random"), _mined("easy")),
        comparisons=(
            Comparison(better="semi-hard", worse="random"),
            Comparison(better="semi-hard", worse="easy", margin=0.05),
        ),
        settings=FACENET,
        source="omniglot",
        measure="recall_at_1",
        note="letters of alphabets that were not trained on, in place of faces",
    ),
    Claim(
        name="collapse",
        says="the hardest negatives early in training can collapse the embedding to one point",
        where="section 3.2",
        arms=(_mined("semi_hard"), _mined("hard")),
        comparisons=(Comparison(better="semi-hard", worse="hard", margin=0.2),),
        settings=FACENET,
        source="omniglot",
        measure="last_spread",
        note="the score is the spread of the embeddings: 100 % is healthy, 0 collapsed",
    ),
    Claim(
        name="pretraining",
        says="triplets that start from a self-supervised encoder beat triplets from scratch",
        where="this project's own, of the papers taken together",
        arms=(
            _started("from SimCLR", pretraining=6),
            _started("from scratch", pretraining=0),
            _started("from scratch, as long", pretraining=0, epochs=10),
        ),
        comparisons=(
            Comparison(better="from SimCLR", worse="from scratch"),
            Comparison(better="from SimCLR", worse="from scratch, as long"),
        ),
        settings={"epochs": 4},
        note="recall at 1 on letters of alphabets that were not trained on",
    ),
)
