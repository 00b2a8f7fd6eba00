"""A claim: what a paper says, the experiment that shows it, and the rule that judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["reproduced", "not reproduced", "inconclusive"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train in an experiment.

    Attributes:
        name: what the table and the figure call it.
        settings: arguments of `lookalike.train` that differ from the claim's.
        measure: what is measured, if not what the claim measures.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    measure: str | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What must hold between two arms.

    Attributes:
        better: name of the arm that the paper puts first.
        worse: name of the arm that it puts second.
        margin: how far apart their means must be, as a share of 1.
    """

    better: str
    worse: str
    margin: float = 0.0

    def judge(self, scores: Mapping[str, Sequence[float]]) -> Verdict:
        """Return whether the comparison holds, seed by seed.

        Args:
            scores: of each arm, one a seed, in the same order of seeds.

        Returns:
            "reproduced" if the better arm wins with every seed and by more than the margin on
            average; "not reproduced" if it does not win on average; else "inconclusive".
        """
        pairs = zip(scores[self.better], scores[self.worse], strict=True)
        leads = [better - worse for better, worse in pairs]
        mean = sum(leads) / len(leads)
        if mean <= 0:
            return "not reproduced"
        return "reproduced" if min(leads) > 0 and mean > self.margin else "inconclusive"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a paper, and the small experiment that shows it.

    Attributes:
        name: as typed on the command line.
        says: the claim, in one sentence.
        where: the section, table or figure of the paper that makes it.
        arms: what is compared.
        comparisons: what must hold; written before the run and never changed after it.
        settings: arguments of `lookalike.train` that all arms share.
        source: images to learn from and to measure on; it has a test split.
        measure: what is measured of every arm.
        note: what differs from the paper's experiment.
    """

    name: str
    says: str
    where: str
    arms: tuple[Arm, ...]
    comparisons: tuple[Comparison, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    source: str = "hands"
    measure: str = "linear_top1"
    note: str = ""

    def judge(self, scores: Mapping[str, Sequence[float]]) -> Verdict:
        """Return the verdict: "reproduced" if every comparison is.

        One that is not reproduced makes the claim so; else one that is inconclusive does.
        """
        verdicts = {comparison.judge(scores) for comparison in self.comparisons}
        worst: tuple[Verdict, ...] = ("not reproduced", "inconclusive", "reproduced")
        return next(verdict for verdict in worst if verdict in verdicts)
