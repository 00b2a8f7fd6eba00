"""A claim: what a paper says, the experiment that shows it, and the rule that judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from lookalike.evaluation.rank_correlation import rank_correlation

Verdict = Literal["reproduced", "not reproduced", "inconclusive"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train in an experiment, or one thing to compute.

    Attributes:
        name: what the table and the figure call it.
        settings: arguments of `lookalike.train` that differ from the claim's.
        measure: what is measured, if not what the claim measures.
        experiment: "package.module:function", called in place of training and measuring with the
            settings and `seed`, all by name; what it returns is the score. None: train, measure.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    measure: str | None = None
    experiment: str | None = None


class Rule(Protocol):
    """What must hold for a claim to stand; written before the run and never changed after it."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms that it speaks of."""

    def describe(self) -> str:
        """Return what must hold, in a few words."""

    def leads(self, scores: Mapping[str, Sequence[float]]) -> list[float]:
        """Return what is judged, one number a seed; `scores` are of each arm, one a seed."""

    def judge(self, scores: Mapping[str, Sequence[float]]) -> Verdict:
        """Return whether it holds."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What must hold between two arms.

    Attributes:
        better: name of the arm that the paper puts first.
        worse: name of the arm that it puts second.
        margin: how far apart their means must be, in the claim's unit (% as a share of 1).
    """

    better: str
    worse: str
    margin: float = 0.0

    @property
    def arms(self) -> tuple[str, ...]:
        """Both arms."""
        return self.better, self.worse

    def describe(self) -> str:
        """Return which arm must beat which."""
        return f"{self.better} > {self.worse}"

    def leads(self, scores: Mapping[str, Sequence[float]]) -> list[float]:
        """Return how far the better arm is ahead, one number a seed."""
        pairs = zip(scores[self.better], scores[self.worse], strict=True)
        return [better - worse for better, worse in pairs]

    def judge(self, scores: Mapping[str, Sequence[float]]) -> Verdict:
        """Return whether the comparison holds, seed by seed.

        Args:
            scores: of each arm, one a seed, in the same order of seeds.

        Returns:
            "reproduced" if the better arm wins with every seed and by more than the margin on
            average; "not reproduced" if it does not win on average; else "inconclusive".
        """
        return _judge(self.leads(scores), self.margin)


@dataclass(frozen=True, kw_only=True)
class SmallerLoss:
    """One way to train must lose less than another when both are made harder.

    Attributes:
        better: names of two arms: the way that suffers less as it is, and made harder.
        worse: of the other way, likewise.
        margin: how much less must be lost on average, as a share of 1.
    """

    better: tuple[str, str]
    worse: tuple[str, str]
    margin: float = 0.0

    @property
    def arms(self) -> tuple[str, ...]:
        """All four arms."""
        return *self.better, *self.worse

    def describe(self) -> str:
        """Return which change must cost less than which."""
        return f"{' to '.join(self.better)} costs less than {' to '.join(self.worse)}"

    def leads(self, scores: Mapping[str, Sequence[float]]) -> list[float]:
        """Return how much less is lost, one number a seed."""
        lost = [Comparison(better=a, worse=b).leads(scores) for a, b in (self.worse, self.better)]
        return [other - own for other, own in zip(*lost, strict=True)]

    def judge(self, scores: Mapping[str, Sequence[float]]) -> Verdict:
        """Return what a `Comparison` of the two losses is judged."""
        return _judge(self.leads(scores), self.margin)


@dataclass(frozen=True, kw_only=True)
class BestBeatsEnd:
    """One of several arms must beat another; which one, the experiment says.

    The one is the arm that is best on average over all seeds, the first of equals, so it is the
    same with every seed. To choose the best of several is to choose some luck as well: the margin
    is there to be larger than that.

    Attributes:
        candidates: names of the arms of which one must be better.
        end: name of the arm that it must beat.
        margin: how far apart their means must be, as a share of 1.
    """

    candidates: tuple[str, ...]
    end: str
    margin: float

    @property
    def arms(self) -> tuple[str, ...]:
        """The candidates and the end."""
        return *self.candidates, self.end

    def describe(self) -> str:
        """Return what must beat what, and by how much."""
        return f"best of ({', '.join(self.candidates)}) > {self.end}, by {self.margin:.1%}"

    def leads(self, scores: Mapping[str, Sequence[float]]) -> list[float]:
        """Return how far the best candidate is ahead of the end, one number a seed."""
        best = max(self.candidates, key=lambda name: sum(scores[name]))
        return Comparison(better=best, worse=self.end).leads(scores)

    def judge(self, scores: Mapping[str, Sequence[float]]) -> Verdict:
        """Return what a `Comparison` of the best candidate with the end is judged."""
        return _judge(self.leads(scores), self.margin)


@dataclass(frozen=True, kw_only=True)
class BeatsMost:
    """One arm must beat more than a share of several others.

    Attributes:
        better: name of the one.
        others: names of those that it is compared with.
        share: of them, that must be beaten on average over all seeds.
    """

    better: str
    others: tuple[str, ...]
    share: float

    @property
    def arms(self) -> tuple[str, ...]:
        """The one and the others."""
        return self.better, *self.others

    def describe(self) -> str:
        """Return what must beat how many."""
        return f"{self.better} beats more than {self.share:.0%} of {', '.join(self.others)}"

    def leads(self, scores: Mapping[str, Sequence[float]]) -> list[float]:
        """Return the share that is beaten, less a half, one number a seed; ties count half."""
        rows = zip(*(scores[name] for name in self.arms), strict=True)
        wins = [[(own > one) + (own == one) / 2 for one in others] for own, *others in rows]
        return [sum(each) / len(each) - 0.5 for each in wins]

    def judge(self, scores: Mapping[str, Sequence[float]]) -> Verdict:
        """Return whether it does.

        Returns:
            "reproduced" if most are beaten with every seed, and more than `share` on average; "not
            reproduced" if most are not beaten on average; else "inconclusive".
        """
        return _judge(self.leads(scores), self.share - 0.5)


@dataclass(frozen=True, kw_only=True)
class SameOrder:
    """Two measures must put the same ways to train in the same order.

    Attributes:
        pairs: names of two arms each, that train in the same way and are measured differently.
        above: what Spearman's rank correlation between both must exceed on average, in [-1, 1].
    """

    pairs: tuple[tuple[str, str], ...]
    above: float

    @property
    def arms(self) -> tuple[str, ...]:
        """All arms, pair by pair."""
        return tuple(name for pair in self.pairs for name in pair)

    def describe(self) -> str:
        """Return what is correlated, and how much."""
        first, second = self.pairs[0]
        return (
            f"rank correlation over {len(self.pairs)} pairs such as ({first}; {second}) "
            f"> {self.above:g}"
        )

    def leads(self, scores: Mapping[str, Sequence[float]]) -> list[float]:
        """Return the rank correlation over all pairs, one a seed; nan where one has no order."""
        first, second = (
            list(zip(*(scores[pair[side]] for pair in self.pairs), strict=True)) for side in (0, 1)
        )
        return [rank_correlation(x, y) for x, y in zip(first, second, strict=True)]

    def judge(self, scores: Mapping[str, Sequence[float]]) -> Verdict:
        """Return whether they do.

        Returns:
            "reproduced" if the correlation is above 0 with every seed and above `above` on average;
            "not reproduced" if it is not above 0 on average; else "inconclusive".
        """
        return _judge(self.leads(scores), self.above)


def _judge(leads: Sequence[float], margin: float) -> Verdict:
    """Return the verdict on leads, one a seed: all above 0, and the mean above the margin."""
    mean = sum(leads) / len(leads)
    if mean <= 0:
        return "not reproduced"
    return "reproduced" if min(leads) > 0 and mean > margin else "inconclusive"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a paper, and the small experiment that shows it.

    Attributes:
        name: as typed on the command line.
        says: the claim, in one sentence.
        where: the section, table or figure of the paper that makes it.
        arms: what is compared.
        comparisons: what must hold, mostly comparisons of two arms; written before the run and
            never changed after it.
        settings: arguments of `lookalike.train` that all arms share.
        source: images to learn from and to measure on; it has a test split.
        measure: what is measured of every arm.
        unit: of the scores: % of shares in [0, 1]; of other numbers, what they count.
        note: what differs from the paper's experiment.
    """

    name: str
    says: str
    where: str
    arms: tuple[Arm, ...]
    comparisons: tuple[Rule, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    source: str = "hands"
    measure: str = "linear_top1"
    unit: str = "%"
    note: str = ""

    @property
    def trains(self) -> bool:
        """Whether any arm learns from images."""
        return any(arm.experiment is None for arm in self.arms)

    def show(self, score: float) -> str:
        """Return a score as people read it."""
        return f"{score:.1%}" if self.unit == "%" else f"{score:.3f} {self.unit}"

    def judge(self, scores: Mapping[str, Sequence[float]]) -> Verdict:
        """Return the verdict: "reproduced" if every comparison is.

        One that is not reproduced makes the claim so; else one that is inconclusive does.
        """
        verdicts = {comparison.judge(scores) for comparison in self.comparisons}
        worst: tuple[Verdict, ...] = ("not reproduced", "inconclusive", "reproduced")
        return next(verdict for verdict in worst if verdict in verdicts)
