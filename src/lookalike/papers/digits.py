"""The handwritten digits that come with scikit-learn: small, real, and there without a download."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lookalike.errors import UsageError


def read_digits() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return (1797, 64) pixels of 8 x 8 digits, in [0, 16], and (1797,) which digits they are.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415  takes seconds, and is optional
    except ImportError as missing:
        raise UsageError(
            "these digits come with scikit-learn\n  fix: pip install 'lookalike[cluster]'"
        ) from missing
    pixels, labels = load_digits(return_X_y=True)
    return pixels, labels
