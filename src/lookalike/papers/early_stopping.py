"""On the Efficacy of Knowledge Distillation (1910.01348)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import TEACHING, student, taught

_SHORT, _LONG = taught(epochs=6), taught(epochs=40)

CLAIMS = (
    Claim(
        name="teacher",
        says="a teacher of a short, complete training is the better teacher than one of a long one",
        where="section 4.3",
        arms=(
            Arm(name="student of the short one", settings=student(taught_by=_SHORT)),
            Arm(name="student of the long one", settings=student(taught_by=_LONG)),
            Arm(name="short teacher", settings=_SHORT),
            Arm(name="long teacher", settings=_LONG),
        ),
        comparisons=(
            Comparison(better="student of the short one", worse="student of the long one"),
        ),
        settings=TEACHING,
        measure="classifier_top1",
        note="6 and 40 epochs stand for 35 and 200",
    ),
    Claim(
        name="switch-off",
        says="a student ends better if its teacher falls silent before the end",
        where="section 4.2",
        arms=(
            Arm(
                name="silent after half",
                settings=student(taught_by=taught(), method_arguments={"until": 0.5}),
            ),
            Arm(name="to the end", settings=student(taught_by=taught())),
        ),
        comparisons=(Comparison(better="silent after half", worse="to the end"),),
        settings=TEACHING,
        measure="classifier_top1",
        note="in the paper on ImageNet, where the student is too small for its teacher",
    ),
)
