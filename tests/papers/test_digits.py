"""The digits are there, or one line says where they come from."""

import sys

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.papers.digits import read_digits


def test_there_is_a_picture_for_every_label():
    pixels, labels = read_digits()
    assert pixels.shape == (1797, 64)
    assert set(labels.tolist()) == set(range(10))
    assert (pixels.min(), pixels.max()) == (0, 16)
    ink = [np.mean(pixels[labels == digit]) for digit in range(10)]
    assert min(ink) == ink[1] or min(ink) == ink[7], "a one or a seven takes least ink"


def test_without_scikit_learn_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match=r"come with scikit-learn\n  fix: pip install"):
        read_digits()
