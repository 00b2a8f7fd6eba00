"""Digits, projected: how often the nearest neighbour in few dimensions is of the same class."""

from __future__ import annotations

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.classical import Method, fit_classical

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
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415  an extra, and slow to import
    except ImportError as problem:
        raise UsageError(
            "the digits come with scikit-learn\n  fix: pip install 'lookalike[cluster]'"
        ) from problem
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(pixels))
    fitted, asked = order[:DIGITS], order[DIGITS : 2 * DIGITS]
    found = fit_classical(method, pixels[fitted], labels[fitted], dim=dim, seed=seed)
    known, new = found.map(pixels[fitted]), found.map(pixels[asked])
    distances = np.square(new[:, None] - known[None]).sum(2)  # (600, 600)
    nearest = distances.argmin(1)
    return float((labels[fitted][nearest] == labels[asked]).mean())
