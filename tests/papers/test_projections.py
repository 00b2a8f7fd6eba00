"""Accuracy after a projection, against a loop and against what keeps everything."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from lookalike.papers.projections import DIGITS, neighbour_accuracy


def test_with_all_dimensions_it_is_the_neighbours_of_the_pixels():
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))
    fitted, asked = order[:DIGITS], order[DIGITS : 2 * DIGITS]
    model = KNeighborsClassifier(1).fit(pixels[fitted], labels[fitted])
    expected = model.score(pixels[asked], labels[asked])
    found = neighbour_accuracy(method="pca", dim=64, seed=0)
    assert found == pytest.approx(expected, abs=0.004), "a rotation moves no neighbour but ties"


def test_more_dimensions_tell_more():
    few, more = (neighbour_accuracy(method="pca", dim=dim, seed=1) for dim in (1, 8))
    assert few < more
