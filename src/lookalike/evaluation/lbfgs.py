"""L-BFGS with a backtracking line search. Nocedal & Wright 2006, algorithms 7.4, 7.5 and 3.1.

For smooth convex functions of one tensor. Torch has an L-BFGS too, whose optimizers take seconds to
import the first time, and need a gradient by automatic differentiation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

MEMORY = 20  # steps remembered
HALVINGS = 20  # of a step, before rounding is taken to hide any descent
SUFFICIENT = 1e-4  # share of the decrease that the slope promises, for a step to be taken


class _Step(NamedTuple):
    """A step of the past: how the point moved, how the slope turned, and 1 / their product."""

    moved: Tensor
    turned: Tensor
    inverse: Tensor


def minimise(
    function: Callable[[Tensor], tuple[Tensor, Tensor]],
    start: Tensor,
    *,
    tolerance: float,
    most: int = 500,
) -> Tensor:
    """Return where a convex function is least.

    Args:
        function: returns its () value and its slope, of the shape of its argument.
        start: where to begin.
        tolerance: Euclidean norm of the slope at which to stop.
        most: steps at most.
    """
    point = start
    value, slope = function(point)
    past: deque[_Step] = deque(maxlen=MEMORY)
    for _ in range(most):
        if slope.norm() <= tolerance:
            break
        direction = _newton_direction(slope, past)
        promised = (direction * slope).sum()  # below 0
        length = 1.0 if past else min(1.0, 1 / float(slope.norm()))
        for _ in range(HALVINGS):
            ahead = point + length * direction
            value_ahead, slope_ahead = function(ahead)
            if value_ahead <= value + SUFFICIENT * length * promised:
                break
            length /= 2
        else:
            break
        moved, turned = ahead - point, slope_ahead - slope
        curved = (moved * turned).sum()
        if curved > 0:  # as it is where the function is convex, but for rounding
            past.append(_Step(moved, turned, 1 / curved))
        point, value, slope = ahead, value_ahead, slope_ahead
    return point


def _newton_direction(slope: Tensor, past: deque[_Step]) -> Tensor:
    """Return minus the slope times what the past says of the inverse second derivative."""
    direction = -slope
    shares: list[Tensor] = []
    for step in reversed(past):
        share = (step.moved * direction).sum() * step.inverse
        direction = direction - share * step.turned
        shares.append(share)
    if past:
        last = past[-1]
        direction = direction / (last.inverse * last.turned.square().sum())
    for step, share in zip(past, reversed(shares), strict=True):
        direction = (
            direction + (share - (step.turned * direction).sum() * step.inverse) * step.moved
        )
    return direction
