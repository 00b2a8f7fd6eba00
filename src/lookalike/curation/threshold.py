"""From what score on two images count as duplicates, told by the images themselves.

Two things are measured on the images at hand. What duplicates score: copies of some of them, made
on the spot and looked for as all images are. And what chance scores: decoys, each of them half of
one image beside half of another. A decoy looks like a picture of this kind and cannot have a copy
among them, so a pair that it makes with both its halves is a mistake (searching a decoy to count
mistakes: Elias and Gygi 2007, doi:10.1038/nmeth1019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import _check
from lookalike.curation.copies import PLAIN

Scores = npt.NDArray[np.float32]

LOST = 0.05  # share of the plain copies that it does not go by: the most altered
LEAST = 0.8  # never below: photos of one scene, taken moments apart, agree better than by chance
SLACK = 2.0  # two copies of one image differ by what was done to either
COLLAPSED = 0.5  # share of the copies below which a search is said to have failed
CONFIDENT = 1.96  # standard errors of an interval that holds in 95 of 100 cases


@dataclass(frozen=True, kw_only=True)
class Recall:
    """How many planted copies of one kind are found.

    Attributes:
        kind: what was done to them; see `copies.alter`.
        found: how many are found.
        copies: of how many.
    """

    kind: str
    found: int
    copies: int

    @property
    def share(self) -> float:
        """What part of them is found, in [0, 1]."""
        return self.found / self.copies

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share of all such copies is, in 95 of 100 cases (Wilson 1927)."""
        count, spread = self.copies, CONFIDENT**2
        middle = (self.found + spread / 2) / (count + spread)
        inside = self.found * (count - self.found) / count + spread / 4
        half = CONFIDENT * math.sqrt(inside) / (count + spread)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.kind} {self.share:.0%} ({low:.0%} to {high:.0%})"


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A score from which on pairs count, and how it was found.

    Attributes:
        value: the score.
        asked: the precision asked for, in (0, 1).
        precision: share of the pairs from it on that are estimated to be right; None if there is
            no such pair.
        pairs: of images, from it on.
        mistakes: pairs from it on that decoys make, times the images for each decoy.
        searched: how many decoys were searched.
        recalls: how many planted copies of each kind are found; none where none could be made.
    """

    value: float
    asked: float
    precision: float | None
    pairs: int
    mistakes: float
    searched: int
    recalls: tuple[Recall, ...] = ()

    @property
    def recall(self) -> Recall | None:
        """How many planted copies of all kinds are found; None where none could be made."""
        if not self.recalls:
            return None
        found = sum(each.found for each in self.recalls)
        return Recall(kind="all", found=found, copies=sum(each.copies for each in self.recalls))

    @property
    def level(self) -> str:
        """The score as text, with as many digits as tell it from 1."""
        if self.value >= 1:
            return "1"
        digits = 3
        while float(f"{self.value:.{digits}f}") >= 1:
            digits += 1
        return f"{self.value:.{digits}f}"

    @property
    def headline(self) -> str:
        """What share of copies is found, then what share of what is found is right."""
        if self.recall is None:
            found = "no copy could be made to tell what share of copies is found"
        else:
            low, high = self.recall.interval
            found = (
                f"finds {self.recall.share:.1%} ({low:.0%} to {high:.0%}) of "
                f"{self.recall.copies:,} copies that were planted to measure by"
            )
        if self.precision is None:
            return f"{found}; no pair of images counts"
        if not self.searched:
            return f"{found}; no decoy could be made to tell how many of the pairs are right"
        if self.pairs == 1:
            return f"{found}; one pair counts, and is estimated to be right"
        return f"{found}; an estimated {self.precision:.1%} of the {self.pairs:,} pairs are right"

    @property
    def kinds(self) -> str:
        """What share of each kind of copy is found, with intervals; empty where none was made."""
        return ", ".join(map(str, self.recalls))

    @property
    def warning(self) -> str:
        """What to do where few copies are found; empty where enough are."""
        if self.recall is None or self.recall.share >= COLLAPSED:
            return ""
        return (
            f"few copies are found at this precision: pictures that are no copies agree to almost "
            f"{self.level} here; ask again for less than {self.asked:g}"
        )

    @property
    def reason(self) -> str:
        """How it was found, in a sentence."""
        agreed = (
            "no two agree well enough"
            if self.precision is None
            else f"pairs count that agree to {self.level} or more"
        )
        return (
            f"{agreed}: {self.searched:,} decoys, made of the halves of two images each, make "
            f"{self.mistakes:,.0f} such pairs ({self.asked:.1%} right asked for)"
        )

    def lines(self) -> list[str]:
        """Return what share is found, of each kind, how many are right, and any warning."""
        warned = [f"warning: {self.warning}"] if self.warning else []
        kinds = [f"found of each kind: {self.kinds}"] if self.recalls else []
        return [self.headline, *kinds, self.reason, *warned]

    def to_json(self) -> dict[str, Any]:
        """Return one object for programs."""
        recall = self.recall
        return asdict(self) | {
            "recall": None if recall is None else recall.share,
            "recalls": [
                asdict(each) | {"share": each.share, "interval": each.interval}
                for each in self.recalls
            ],
        }


def choose_threshold(
    pairs: Scores,
    *,
    copies: Scores,
    kinds: Sequence[str],
    decoys: Scores,
    searched: int,
    weight: float = 1.0,
    precision: float = 0.99,
) -> Threshold:
    """Return the threshold for a precision.

    It starts where two altered copies of one image may be: at twice the disagreement that all but
    5 % of the plain copies keep to, though not below 0.8. Where decoys make pairs even there, it
    rises until the pairs from it on are estimated to be as often right as asked for. It may lose
    true duplicates then, and `recalls` says how many.

    Args:
        pairs: (P,) scores of the images' own pairs.
        copies: (C,) scores of planted copies with their images, 0 where the search misses them.
        kinds: C kinds of them.
        decoys: (M,) scores of decoys' pairs.
        searched: how many decoys were searched.
        weight: images for each of these.
        precision: share of pairs that shall be right, in (0, 1).

    Raises:
        ValueError: precision is out of its range, or kinds are not as many as copies.
    """
    _check.positive(precision=precision)
    if not precision < 1:
        raise ValueError(f"precision must be below 1, got {precision}")
    if len(kinds) != len(copies):
        raise ValueError(f"kinds must be as many as copies, got {len(kinds)} and {len(copies)}")
    named = np.array(kinds, dtype=np.str_)
    plain = copies[np.isin(named, PLAIN)]
    typical = float(np.quantile(plain, LOST, method="lower")) if len(plain) else LEAST
    start = max(1 - SLACK * (1 - typical), LEAST)
    falling, wrong = np.sort(pairs)[::-1], np.sort(decoys)
    levels = [start, *(float(value) for value in falling[::-1] if value > start), np.inf]
    for level in levels:
        found = int((falling >= level).sum())
        mistakes = weight * int(len(wrong) - np.searchsorted(wrong, level))
        if mistakes <= (1 - precision) * found:
            break
    if np.isinf(level):  # then a little above all there is
        level = float(np.nextafter(max([start, *pairs, *decoys]), np.inf, dtype=np.float64))
    recalls = tuple(
        Recall(
            kind=kind,
            found=int((copies[named == kind] >= level).sum()),
            copies=int((named == kind).sum()),
        )
        for kind in dict.fromkeys(kinds)
    )
    return Threshold(
        value=level,
        asked=precision,
        precision=1 - mistakes / found if found else None,
        pairs=found,
        mistakes=mistakes,
        searched=searched,
        recalls=recalls,
    )
