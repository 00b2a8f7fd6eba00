"""Did the representation collapse? A verdict from the monitors, with the numbers that led to it.

Signs: the spread of each dimension against 1/sqrt(D) (SimSiam, arXiv:2011.10566, section 4.1),
the effective rank (RankMe, arXiv:2210.02885, section 3), and retrieval falling from its best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

COLLAPSED_SPREAD, LOW_SPREAD = 0.05, 0.3  # the lower ones are those at which a run stops itself
COLLAPSED_RANK, LOW_RANK = 2.0, 3.0
WORRYING_FALL = 0.1  # of retrieval or kNN accuracy, from its best: more than monitors wobble

RETRIEVAL = {
    "knn_top1": "kNN accuracy",
    "view_retrieval_top1": "view retrieval",
}


@dataclass(frozen=True)
class Verdict:
    """What the monitors say.

    Args:
        level: how bad it is.
        headline: two or three words.
        reasons: one sentence a sign, each with its number.
    """

    level: Literal["healthy", "warning", "collapsed", "unknown"]
    headline: str
    reasons: tuple[str, ...]


def judge(monitors: Sequence[Mapping[str, Any]]) -> Verdict:
    """Return the verdict on the last of a run's monitor lines, oldest first."""
    if not monitors:
        return Verdict("unknown", "Not known", ("No monitor line was written.",))
    last = monitors[-1]
    spread, rank = last.get("spread"), last.get("rankme")
    collapsed: list[str] = []
    warnings: list[str] = []
    healthy: list[str] = []
    broken = [name for name, value in last.items() if _number(value) and not math.isfinite(value)]
    if broken:
        collapsed.append(f"{', '.join(broken)} is not a finite number.")
    low_spread = _finite(spread) and spread < COLLAPSED_SPREAD
    low_rank = _finite(rank) and rank < COLLAPSED_RANK
    grave = collapsed if low_spread and low_rank else warnings  # one of them alone can mislead
    if _finite(spread):
        if spread < COLLAPSED_SPREAD:
            grave.append(f"Spread is {spread:.2f}: all images get nearly the same vector.")
        elif spread < LOW_SPREAD:
            warnings.append(f"Spread is {spread:.2f}: the vectors huddle together.")
        else:
            healthy.append(f"Spread is {spread:.2f}, where 0 is collapse and 1 is even.")
    if _finite(rank):
        if rank < COLLAPSED_RANK:
            grave.append(f"Effective rank is {rank:.1f}: one direction holds nearly everything.")
        elif rank < LOW_RANK:
            warnings.append(f"Effective rank is {rank:.1f}: very few directions are in use.")
        else:
            healthy.append(f"Effective rank is {rank:.1f}: about that many directions are in use.")
    for key, name in RETRIEVAL.items():
        values = [row[key] for row in monitors if _finite(row.get(key))]
        if values and values[-1] < max(values) - WORRYING_FALL:
            warnings.append(f"{name} fell to {values[-1]:.2f} from its best, {max(values):.2f}.")
        elif values:
            healthy.append(f"{name} is {values[-1]:.2f}, best {max(values):.2f}.")
    if collapsed:
        return Verdict("collapsed", "Collapsed", tuple(collapsed + warnings))
    if warnings:
        return Verdict("warning", "Warning", tuple(warnings))
    if healthy:
        return Verdict("healthy", "Healthy", tuple(healthy))
    return Verdict("unknown", "Not known", ("The monitor lines hold none of the known signs.",))


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _finite(value: object) -> bool:
    return isinstance(value, (int, float)) and _number(value) and math.isfinite(value)
