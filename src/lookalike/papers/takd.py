"""TAKD: Improved Knowledge Distillation via Teacher Assistant (1902.03393)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import TEACHING, network, student, taught

_TEACHER = taught(24)
_ASSISTANT = {**TEACHING, **student(8, taught_by=_TEACHER)}

CLAIMS = (
    Claim(
        name="assistant",
        says="across a large gap a teacher's assistant helps: a network between both, that learns "
        "from the one and teaches the other",
        where="section 4, table 1",
        arms=(
            Arm(name="by an assistant", settings=student(2, taught_by=_ASSISTANT)),
            Arm(name="by the teacher", settings=student(2, taught_by=_TEACHER)),
            Arm(name="from labels", settings={"method": "supervised", **network(2)}),
        ),
        comparisons=(
            Comparison(better="by an assistant", worse="by the teacher"),
            Comparison(better="by an assistant", worse="from labels"),
        ),
        settings=TEACHING,
        measure="classifier_top1",
        note="four convolutions of 24, 8 and 2 channels in place of 10, 4 and 2 layers",
    ),
)
