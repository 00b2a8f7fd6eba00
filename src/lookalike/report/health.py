"""Did the representation collapse? A verdict from the monitors, with the numbers that led to it.

Signs: the spread of each dimension against 1/sqrt(D) (SimSiam, arXiv:2011.10566, section 4.1),
the effective rank (RankMe, arXiv:2210.02885, section 3), and retrieval falling from its best.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from lookalike.report.charts import percent
from lookalike.report.reading import is_number

COLLAPSED_SPREAD, LOW_SPREAD = 0.05, 0.3  # the lower ones are those at which a run stops itself
COLLAPSED_RANK, LOW_RANK = 2.0, 3.0
WORRYING_FALL = 0.1  # of retrieval or kNN accuracy, from its best: more than monitors wobble

RETRIEVAL = {
    "knn_top1": "kNN accuracy",
    "view_retrieval_top1": "View retrieval",
}

Level = Literal["unknown", "healthy", "warning", "collapsed"]
LEVELS: tuple[Level, ...] = ("unknown", "healthy", "warning", "collapsed")  # the worst is last


class Sign(NamedTuple):
    """One thing that the monitors say, and how bad it is."""

    level: Level
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What the monitors say in all.

    Args:
        level: of the worst sign.
        headline: a few words.
        signs: each with its number.
    """

    level: Level
    headline: str
    signs: tuple[Sign, ...]


HEADLINES: dict[Level, str] = {
    "unknown": "Not known",
    "healthy": "Healthy",
    "warning": "Look closer",
    "collapsed": "Collapsed",
}


def judge(monitors: Sequence[Mapping[str, Any]]) -> Verdict:
    """Return the verdict on the last of a run's monitor lines, oldest first."""
    signs = tuple([*_of_vectors(monitors[-1]), *_of_retrieval(monitors)] if monitors else ())
    level: Level = max((sign.level for sign in signs), key=LEVELS.index, default="unknown")
    if not signs:
        signs = (Sign("unknown", "There are no monitor readings to judge by."),)
    return Verdict(level, HEADLINES[level], signs)


def _of_vectors(last: Mapping[str, Any]) -> Iterator[Sign]:
    for name, value in last.items():
        if isinstance(value, float) and not math.isfinite(value):
            yield Sign("collapsed", f"The monitor {name} is not a finite number.")
    spread, rank = last.get("spread"), last.get("rankme")
    both = (
        is_number(spread)
        and spread < COLLAPSED_SPREAD
        and is_number(rank)
        and rank < COLLAPSED_RANK
    )
    grave: Level = "collapsed" if both else "warning"  # one of the two alone can mislead
    if is_number(spread):
        if spread < COLLAPSED_SPREAD:
            yield Sign(grave, f"Spread is {spread:.2f}: all images get nearly the same vector.")
        elif spread < LOW_SPREAD:
            yield Sign("warning", f"Spread is {spread:.2f}: the vectors huddle together.")
        else:
            yield Sign("healthy", f"Spread is {spread:.2f}, where 0 is collapse and 1 is even.")
    if is_number(rank):
        if rank < COLLAPSED_RANK:
            yield Sign(grave, f"Effective rank is {rank:.1f}: one direction holds nearly all.")
        elif rank < LOW_RANK:
            yield Sign("warning", f"Effective rank is {rank:.1f}: few directions are in use.")
        else:
            yield Sign("healthy", f"Effective rank is {rank:.1f}: so many directions are in use.")


def _of_retrieval(monitors: Sequence[Mapping[str, Any]]) -> Iterator[Sign]:
    for key, name in RETRIEVAL.items():
        values = [row[key] for row in monitors if is_number(row.get(key))]
        if not values:
            continue
        last, best = values[-1], max(values)
        if last < best - WORRYING_FALL:
            yield Sign("warning", f"{name} fell to {percent(last)} from {percent(best)}.")
        else:
            yield Sign("healthy", f"{name} is {percent(last)}; its best was {percent(best)}.")
