"""KD: Distilling the Knowledge in a Neural Network (1503.02531)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import TEACHING, network, student, taught

_EXPERIMENT = "lookalike.papers.missing_digit:"

CLAIMS = (
    Claim(
        name="soft-targets",
        says="a student learns more from a teacher's soft targets than from the labels",
        where="section 3",
        arms=(
            Arm(name="soft targets", settings=student(taught_by=taught())),
            Arm(name="labels", settings={"method": "supervised", **network(4)}),
            Arm(name="the teacher", settings=taught()),
        ),
        comparisons=(Comparison(better="soft targets", worse="labels"),),
        settings=TEACHING,
        measure="classifier_top1",
        note="photos of hands of other people, not MNIST",
    ),
    Claim(
        name="missing-digit",
        says="a digit that a student has never seen is learnt from soft targets, once its bias is "
        "put right",
        where="section 3",
        arms=(
            Arm(name="student, bias put right", experiment=_EXPERIMENT + "right_of_missing"),
            Arm(
                name="labels alone",
                settings={"soft": False},
                experiment=_EXPERIMENT + "right_of_missing",
            ),
        ),
        comparisons=(
            Comparison(better="student, bias put right", worse="labels alone", margin=0.5),
        ),
        note="the digits of scikit-learn (8 x 8), threes left out; the bias is set so that as many "
        "threes are answered as there are, on training digits of all kinds",
    ),
)
