"""Alignment and uniformity where geometry says what they are."""

import math

import pytest
import torch

from lookalike.evaluation.uniformity import alignment, uniformity


def test_alignment_of_identical_orthogonal_and_opposite_views():
    first = torch.eye(4)
    assert alignment(first, 3 * first) == pytest.approx(0, abs=1e-6)
    assert alignment(first, first.roll(1, 0)) == pytest.approx(2, abs=1e-6)
    assert alignment(first, -first) == pytest.approx(4, abs=1e-6)
    assert alignment(first, -first, power=1) == pytest.approx(2, abs=1e-6)


def test_uniformity_of_collapsed_orthonormal_and_antipodal_vectors():
    assert uniformity(torch.ones(10, 4)) == pytest.approx(0, abs=1e-5)
    assert uniformity(5 * torch.eye(8)) == pytest.approx(-4, abs=1e-5)
    assert uniformity(torch.tensor([[1.0, 0], [-1, 0]])) == pytest.approx(-8, abs=1e-5)
    assert uniformity(torch.eye(8), t=0.5) == pytest.approx(-1, abs=1e-5)


def test_uniformity_is_a_slow_loop_over_pairs():
    vectors = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    unit = [[float(x) / math.hypot(*map(float, row)) for x in row] for row in vectors]
    potentials = [
        math.exp(-2 * math.dist(unit[i], unit[j]) ** 2) for i in range(12) for j in range(i)
    ]
    expected = math.log(sum(potentials) / len(potentials))
    assert uniformity(vectors) == pytest.approx(expected, abs=1e-5)


def test_uniformity_of_a_random_draw_is_near_that_of_all():
    vectors = torch.randn(1200, 16, generator=torch.Generator().manual_seed(1))
    drawn = uniformity(vectors, limit=600, seed=2)
    assert drawn == pytest.approx(uniformity(vectors), abs=0.02)
    assert drawn == uniformity(vectors, limit=600, seed=2)
    assert drawn != uniformity(vectors, limit=600, seed=3)


def test_what_has_no_pairs_is_refused():
    with pytest.raises(ValueError, match="rows must be at least 2"):
        uniformity(torch.ones(1, 4))
    with pytest.raises(ValueError, match="one shape"):
        alignment(torch.ones(3, 4), torch.ones(2, 4))
    with pytest.raises(ValueError, match="t must be above 0"):
        uniformity(torch.ones(3, 4), t=0)
