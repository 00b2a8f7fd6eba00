"""Digits and their shifts: what says that two are alike decides what a map leaves out.

The digits are those that ship with scikit-learn (8 x 8, UCI's), fours and nines, drawn 20 px wide
in the middle of 32, so that shifts of 6 px stay inside.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lookalike.backbones.drlim import SIDE, drlim
from lookalike.evaluation.classical import fit_classical
from lookalike.losses.contrastive import contrastive_loss
from lookalike.papers.digits import read_digits

SHIFTS = (-6, -3, 0, 3, 6)
"""Pixels to the right by which each digit is moved: the paper's."""

NEIGHBOURS = 5  # nearest in pixels that count as alike: the paper's
WIDTH = 20  # pixels of a digit, as MNIST draws it
SEEN = 2 / 3  # share of the digits that a map is fitted on
DRAWN = 50  # pictures a step, each with one that is like it


class Digits(NamedTuple):
    """Pictures of digits, each in all its shifts, digit by digit.

    seen: (N * S, 32, 32) in [0, 1], to fit on.
    held_out: (M * S, 32, 32) of other digits.
    """

    seen: Tensor
    held_out: Tensor


def shift_error(
    *,
    learner: Literal["drlim", "pca", "lle"],
    seed: int,
    alike: Literal["pixels", "shifts"] = "pixels",
    steps: int = 400,
    rate: float = 0.2,
    margin: float = 1.0,
) -> float:
    """Return how far a map puts a digit from its own shifts, over how far from other digits.

    Both are mean distances, in two dimensions and over digits that the map was not fitted on. 0 is
    a map that does not see shifts, 1 one that has a digit no nearer to its shifts than to others.

    Args:
        learner: what is fitted on the other digits in all shifts.
        seed: of the digits held out, the weights and the pictures of each step.
        alike: of drlim, which pictures are: the 5 nearest in pixels, or the shifts of a digit and
            of the 5 digits nearest to it.
        steps: of drlim, plain gradient descent.
        rate: of each; chosen by the loss on a seed that no claim is run with.
        margin: of drlim's loss.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    digits = load_digits_shifted(seed)
    if learner == "drlim":
        similar = alike_in_pixels(digits.seen) if alike == "pixels" else alike_by_digit(digits.seen)
        mapped = _learn(digits, similar, seed=seed, steps=steps, rate=rate, margin=margin)
    else:
        fitted = fit_classical(
            learner, digits.seen.flatten(1).numpy(), dim=2, neighbours=NEIGHBOURS, seed=seed
        )
        mapped = torch.from_numpy(fitted.map(digits.held_out.flatten(1).numpy()))
    return own_over_other(mapped)


def threshold(*, seed: int, share: float) -> float:
    """Return the share that an error must stay below."""
    return share


def own_over_other(mapped: Tensor) -> float:
    """Return mean distance of a digit's shifts over mean distance of different digits.

    Args:
        mapped: (M * S, dim), digit by digit.
    """
    digit = torch.arange(len(mapped)) // len(SHIFTS)
    distances = torch.cdist(mapped, mapped, compute_mode="donot_use_mm_for_euclid_dist")
    own = digit[:, None] == digit
    shifted = own & ~torch.eye(len(mapped), dtype=torch.bool)
    return float(distances[shifted].mean() / distances[~own].mean())


def load_digits_shifted(seed: int) -> Digits:
    """Return the fours and nines in all shifts; the seed draws those held out.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    pixels, labels = read_digits()
    chosen = pixels[np.isin(labels, (4, 9))].reshape(-1, 1, 8, 8) / 16
    chosen = chosen[np.random.default_rng(seed).permutation(len(chosen))]
    drawn = F.interpolate(torch.from_numpy(chosen).float(), (WIDTH, WIDTH), mode="bilinear")
    framed = F.pad(drawn[:, 0], ((SIDE - WIDTH) // 2,) * 4)
    shifted = torch.stack([framed.roll(shift, dims=2) for shift in SHIFTS], dim=1)  # (N, S, 32, 32)
    count = round(SEEN * len(shifted))
    return Digits(shifted[:count].flatten(0, 1), shifted[count:].flatten(0, 1))


def alike_in_pixels(pictures: Tensor) -> Tensor:
    """Return (N, N) bool: either is among the 5 pictures nearest to the other."""
    flat = pictures.flatten(1)
    distances = torch.cdist(flat, flat).fill_diagonal_(torch.inf)
    nearest = distances.topk(NEIGHBOURS, largest=False).indices
    alike = torch.zeros(distances.shape, dtype=torch.bool).scatter(1, nearest, value=True)
    return alike | alike.T


def alike_by_digit(pictures: Tensor) -> Tensor:
    """Return (N, N) bool: shifts of one digit, or of digits of which one is near the other.

    Args:
        pictures: (N, 32, 32), digit by digit in all shifts. Which digits are near is told by them
            where they are not shifted.
    """
    middle = SHIFTS.index(0)
    digits = alike_in_pixels(pictures[middle :: len(SHIFTS)]).fill_diagonal_(fill_value=True)
    alike = digits.repeat_interleave(len(SHIFTS), 0).repeat_interleave(len(SHIFTS), 1)
    return alike.fill_diagonal_(fill_value=False)


def _learn(
    digits: Digits, similar: Tensor, *, seed: int, steps: int, rate: float, margin: float
) -> Tensor:
    """Train DrLIM's network; return (M * S, 2), where it puts the digits held out.

    A step sees some pictures, each with one that is like it, and all pairs among these: half of the
    loss is the mean over those alike, half over those that are not.
    """
    seen, held_out = (each[:, None].expand(-1, 3, -1, -1) for each in digits)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = drlim(dim=2).to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(network.parameters(), lr=rate)
        for _ in range(steps):
            first = torch.randint(len(seen), (DRAWN,))
            second = torch.multinomial(similar[first].float(), 1)[:, 0]
            drawn = torch.unique(torch.cat([first, second]))  # no picture is compared with itself
            i, j = torch.triu_indices(len(drawn), len(drawn), offset=1)
            alike = similar[drawn[i], drawn[j]]
            mapped = network(seen[drawn])
            loss = mapped.new_zeros(())
            for kind in (alike, ~alike):
                a, b = mapped[i[kind]], mapped[j[kind]]
                loss = loss + contrastive_loss(a, b, alike[kind], margin=margin) / 2
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            mapped_all: Tensor = network(held_out)
    return mapped_all
