"""From what score on two images count as duplicates, told by the images themselves.

Two things are measured on the images at hand. What duplicates score: copies of some of them,
altered on the spot. And what chance scores: mirrored pictures are as like the others as pictures of
this kind ever are, but have no duplicate among them, so a pair that one of them makes is a mistake
(searching a decoy to count mistakes: Elias and Gygi 2007, doi:10.1038/nmeth1019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike import _check

Scores = npt.NDArray[np.float32]

LOST = 0.05  # share of the altered copies that it does not go by: the most altered
LEAST = 0.8  # never below: photos of one scene, taken moments apart, agree better than by chance
SLACK = 2.0  # two copies of one image differ by what was done to either


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A score from which on pairs count, and how it was found.

    Attributes:
        value: the score.
        asked: the precision asked for, in (0, 1).
        precision: share of the pairs from it on that are estimated to be right; None if there is
            no such pair.
        pairs: of images, from it on.
        mistakes: pairs from it on that mirrored pictures make, times `weight`.
        searched: how many mirrored pictures were searched.
        copies: altered copies that were made.
        kept: share of them that score at least the threshold; None if none could be made.
    """

    value: float
    asked: float
    precision: float | None
    pairs: int
    mistakes: float
    searched: int
    copies: int
    kept: float | None

    @property
    def reason(self) -> str:
        """How it was found, in a sentence."""
        if self.kept is None:
            copies = "no copy could be made to measure by"
        else:
            copies = f"{self.kept:.1%} of {self.copies:,} altered copies score so or more"
        mirrored = f"{self.searched:,} mirrored pictures make {self.mistakes:,.0f} such pairs"
        if self.precision is None:
            return f"no pair agrees to {self.value:.3f} or more; {copies}, and {mirrored}"
        return (
            f"pairs count that agree to {self.value:.3f} or more: {copies}, and {mirrored}, so an "
            f"estimated {self.precision:.1%} of these {self.pairs:,} are right ({self.asked:.1%} "
            "asked for)"
        )


def choose_threshold(
    pairs: Scores,
    *,
    copies: Scores,
    mirrored: Scores,
    searched: int,
    weight: float = 1.0,
    precision: float = 0.99,
) -> Threshold:
    """Return the threshold for a precision.

    It starts where two altered copies of one image may be: at twice the disagreement that all but
    5 % of the altered copies keep to, though not below 0.8. Where mirrored pictures make pairs even
    there, it rises until the pairs from it on are estimated to be as often right as asked for. It
    may lose true duplicates then, and `kept` says how many.

    Args:
        pairs: (P,) scores of the images' own pairs.
        copies: (C,) scores of altered copies with their images.
        mirrored: (M,) scores of mirrored pictures' pairs.
        searched: how many mirrored pictures were searched.
        weight: images for each of these.
        precision: share of pairs that shall be right, in (0, 1).

    Raises:
        ValueError: precision is out of its range.
    """
    _check.positive(precision=precision)
    if not precision < 1:
        raise ValueError(f"precision must be below 1, got {precision}")
    typical = float(np.quantile(copies, LOST, method="lower")) if len(copies) else LEAST
    start = max(1 - SLACK * (1 - typical), LEAST)
    falling, wrong = np.sort(pairs)[::-1], np.sort(mirrored)
    levels = [start, *(float(value) for value in falling[::-1] if value > start), np.inf]
    for level in levels:
        found = int((falling >= level).sum())
        mistakes = weight * int(len(wrong) - np.searchsorted(wrong, level))
        if mistakes <= (1 - precision) * found:
            break
    if np.isinf(level):  # then a little above all there is
        level = float(np.nextafter(max([start, *pairs, *mirrored]), np.inf, dtype=np.float64))
    return Threshold(
        value=level,
        asked=precision,
        precision=1 - mistakes / found if found else None,
        pairs=found,
        mistakes=mistakes,
        searched=searched,
        copies=len(copies),
        kept=float((copies >= level).mean()) if len(copies) else None,
    )
