"""Digits, projected: how often the nearest neighbour in few dimensions is of the same class."""

from __future__ import annotations

import numpy as np

from lookalike.evaluation.classical import Method, fit_classical
from lookalike.papers.digits import read_digits

DIGITS = 600  # of each half; NCA's time grows with the square


def neighbour_accuracy(*, method: Method, dim: int, seed: int) -> float:
    """Return the share of held-out digits whose nearest fitted neighbour is the same digit.

    Args:
        method: the projection, fitted on half of the digits.
        dim: that it leaves.
        seed: of the halves.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    pixels, labels = read_digits()
    order = np.random.default_rng(seed).permutation(len(pixels))
    fitted, asked = order[:DIGITS], order[DIGITS : 2 * DIGITS]
    found = fit_classical(method, pixels[fitted], labels[fitted], dim=dim, seed=seed)
    known, new = found.map(pixels[fitted]), found.map(pixels[asked])
    distances = np.square(new[:, None] - known[None]).sum(2)  # (600, 600)
    nearest = distances.argmin(1)
    return float((labels[fitted][nearest] == labels[asked]).mean())
