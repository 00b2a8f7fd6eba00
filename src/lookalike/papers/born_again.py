"""BAN: Born-Again Neural Networks (1805.04770)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.papers.settings import TEACHING, student, taught

_AS_IT_SAYS = {"temperature": 1.0, "response_weight": 1.0, "label_weight": 0.0}


def _born(parent: dict[str, object]) -> dict[str, object]:
    """Return the settings of a child: its parent's network, begun anew, learning its answers."""
    return {**TEACHING, **student(16, taught_by=parent, method_arguments=_AS_IT_SAYS)}


CLAIMS = (
    Claim(
        name="generations",
        says="a network born again, from the answers of one of its own kind, beats its parent",
        where="section 4, table 2",
        arms=(
            Arm(name="parent", settings=taught()),
            Arm(name="child", settings=_born(taught())),
            Arm(name="grandchild", settings=_born(_born(taught()))),
        ),
        comparisons=(Comparison(better="child", worse="parent"),),
        settings=TEACHING,
        measure="classifier_top1",
    ),
)
