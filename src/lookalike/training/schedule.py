"""Learning rates: scaled with the batch, warmed up, then half a cosine (arXiv:1608.03983)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from torch.optim import Optimizer

from lookalike import _check

FORMULAS: Final = {
    "linear": lambda base, batch: f"{base:g} * {batch} / 256",
    "square_root": lambda base, batch: f"{base:g} * sqrt({batch})",
    "none": lambda base, batch: f"{base:g}, whatever the batch",
}
"""How `scaled_learning_rate` came to a rate, to be printed."""


def scaled_learning_rate(base: float, batch_size: int, *, scaling: str) -> float:
    """Return the peak learning rate for a batch (SimCLR, arXiv:2002.05709, appendix B.1).

    Args:
        base: learning rate before scaling.
        batch_size: images (not views) in a batch, >= 1, over all processes.
        scaling: "linear" is base * B / 256, "square_root" is base * sqrt(B), "none" is base.

    Raises:
        ValueError: there is no such scaling.
    """
    _check.at_least(1, batch_size=batch_size)
    factors = {"linear": batch_size / 256, "square_root": math.sqrt(batch_size), "none": 1.0}
    _check.one_of(factors, scaling=scaling)
    return base * factors[scaling]


def warmup_cosine(step: int, *, steps: int, warmup: int, base: float) -> float:
    """Return the learning rate of one step: a line up to `base`, half a cosine down to 0.

    Args:
        step: optimizer steps done before this one, in [0, steps].
        steps: of the whole training, >= 1.
        warmup: steps of the rise, in [0, steps]; the first has base / warmup, the last base.
        base: the peak.

    Returns:
        A rate in [0, base]; 0 when all steps are done.

    Raises:
        ValueError: steps, warmup or step is out of its range.
    """
    if not (0 <= step <= steps and 0 <= warmup <= steps and steps > 0):
        raise ValueError(
            f"step and warmup must be in [0, steps], got {step} and {warmup} of {steps}"
        )
    if step < warmup:
        return base * ((step + 1) / warmup)
    return _half_cosine(step - warmup, steps - warmup, base)


def epoch_cosine(epoch: int, *, epochs: int, base: float) -> float:
    """Return the learning rate of an epoch, the same for all its steps (MoCo v2, SimSiam).

    Args:
        epoch: in [0, epochs).
        epochs: of the whole training.
        base: the rate of the first epoch; the last one still has a little.

    Raises:
        ValueError: there is no such epoch.
    """
    if not 0 <= epoch < epochs:
        raise ValueError(f"epoch must be in [0, {epochs}), got {epoch}")
    return _half_cosine(epoch, epochs, base)


def own_rates(optimizer: Optimizer) -> list[float]:
    """Return the learning rate of every group, as a fresh optimizer has it: the peak of each."""
    return [group["lr"] for group in optimizer.param_groups]


def scheduled_rate(optimizer: Optimizer) -> float:
    """Return the present learning rate of the first group that a schedule moves, else of any."""
    groups = optimizer.param_groups
    moved = [group for group in groups if group.get("schedule") != "constant"]
    return float((moved or groups)[0]["lr"])


def scale_rates(optimizer: Optimizer, peaks: Sequence[float], share: float) -> None:
    """Give every group a share of its own peak, but those with `schedule: "constant"`.

    Args:
        optimizer: whose groups may have rates of their own, such as a head's above a backbone's.
        peaks: of each group, as `own_rates` has them.
        share: in [0, 1].
    """
    for group, peak in zip(optimizer.param_groups, peaks, strict=True):
        if group.get("schedule") != "constant":
            group["lr"] = peak * share


def _half_cosine(done: int, total: int, base: float) -> float:
    progress = done / total if total else 1.0
    return base * (1 + math.cos(math.pi * progress)) / 2
