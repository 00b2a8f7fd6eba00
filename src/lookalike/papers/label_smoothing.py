"""When Does Label Smoothing Help? (1906.02629)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import TEACHING, student, taught

_SMOOTHED = taught(method_arguments={"label_smoothing": 0.1})
_SOFT = {"response_weight": 1.0, "label_weight": 0.0}

CLAIMS = (
    Claim(
        name="teacher",
        says="a teacher that was trained with label smoothing is the worse teacher",
        where="section 3, figure 5",
        arms=(
            Arm(
                name="student of a plain one",
                settings=student(taught_by=taught(), method_arguments=_SOFT),
            ),
            Arm(
                name="student of a smoothed one",
                settings=student(taught_by=_SMOOTHED, method_arguments=_SOFT),
            ),
            Arm(name="plain teacher", settings=taught()),
            Arm(name="smoothed teacher", settings=_SMOOTHED),
        ),
        comparisons=(
            Comparison(better="student of a plain one", worse="student of a smoothed one"),
        ),
        settings=TEACHING,
        measure="classifier_top1",
        note="photos of hands, four convolutions; both students learn from the teacher alone",
    ),
)
