"""Minima that are known: quadratics, and a sum of exponentials."""

import numpy as np
import pytest
import torch

from lookalike.evaluation.lbfgs import minimise


@pytest.mark.parametrize("condition", [1, 1e2, 1e4])
def test_a_quadratic_is_least_where_its_linear_system_is_solved(condition):
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(12, 12, generator=generator).double())[0]
    curvatures = torch.linspace(0, 1, 12).double()
    matrix = axes @ torch.diag(condition**curvatures) @ axes.T
    target = torch.randn(12, generator=generator).double()

    def quadratic(point):
        return point @ matrix @ point / 2 - target @ point, matrix @ point - target

    found = minimise(quadratic, torch.zeros(12).double(), tolerance=1e-9)
    np.testing.assert_allclose(found, torch.linalg.solve(matrix, target), atol=1e-8, rtol=1e-6)


def test_steep_functions_are_stepped_down_carefully():
    """exp(a x) + exp(-x) is least where a exp(a x) = exp(-x), at x = -log(a) / (a + 1)."""
    steepness = torch.tensor([1.0, 5.0, 30.0]).double()
    values = []

    def function(point):
        rising, falling = (steepness * point).exp(), (-point).exp()
        values.append(float((rising + falling).sum()))
        return (rising + falling).sum(), steepness * rising - falling

    found = minimise(function, torch.full((3,), 0.5).double(), tolerance=1e-9)
    np.testing.assert_allclose(found, -steepness.log() / (steepness + 1), atol=1e-8, rtol=0)
    assert values[-1] == pytest.approx(min(values))


def test_at_the_minimum_nothing_moves():
    start = torch.zeros(3)
    assert minimise(lambda x: (x @ x, 2 * x), start, tolerance=1e-6) is start


def test_rounding_ends_the_search():
    start = torch.full((3,), 3.0)
    found = minimise(lambda x: (1e6 + x @ x, 2 * x), start, tolerance=0.0)
    assert found.norm() < 1  # a float32 of 1e6 does not see changes below 0.06
