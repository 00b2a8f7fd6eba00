"""How sure a share is, seen in so many trials. Wilson 1927, J. Am. Stat. Assoc. 22, 209."""

from __future__ import annotations

import math

from lookalike import _check

NORMAL_95 = 1.959964  # the two-sided 95 % point of the normal distribution


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share: (low, high), both in [0, 1] and around the share.

    Args:
        share: successes over trials, in [0, 1].
        count: trials, >= 1, each independent of the others.

    Raises:
        ValueError: an argument is out of its range.
    """
    _check.fraction(share=share)
    _check.at_least(1, count=count)
    squared = NORMAL_95**2
    width = 1 + squared / count
    centre = (share + squared / (2 * count)) / width
    reach = NORMAL_95 * math.sqrt(share * (1 - share) / count + squared / (4 * count**2)) / width
    return min(share, max(0.0, centre - reach)), max(share, min(1.0, centre + reach))
