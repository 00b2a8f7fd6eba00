"""The kernel form against loops and the Gaussian; what it shares is in test__relations."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.correlation_congruence import correlation_congruence_loss


def points(seed, count=8, width=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(("gamma", "order"), [(0.4, 1), (0.4, 2), (1.5, 3)])
def test_it_is_the_taylor_sum(gamma, order):
    student, teacher = (F.normalize(points(seed), dim=1) for seed in (0, 1))
    total = 0.0
    for i in range(8):
        for j in range(8):
            ours, theirs = (
                math.exp(-2 * gamma)
                * sum(
                    (2 * gamma) ** p / math.factorial(p) * float(side[i] @ side[j]) ** p
                    for p in range(order + 1)
                )
                for side in (student, teacher)
            )
            total += (ours - theirs) ** 2
    got = correlation_congruence_loss(3 * student, teacher, gamma=gamma, order=order)
    assert got.item() == pytest.approx(total / 56)


@pytest.mark.parametrize("gamma", [0.4, 2.0])
def test_a_high_order_is_the_gaussian_itself(gamma):
    student, teacher = (F.normalize(points(seed), dim=1) for seed in (0, 1))
    ours, theirs = ((-gamma * torch.cdist(s, s).square()).exp() for s in (student, teacher))
    got = correlation_congruence_loss(student, teacher, gamma=gamma, order=30)
    torch.testing.assert_close(7 / 8 * got, F.mse_loss(ours, theirs))  # the paper's, over B^2


def test_every_row_is_scaled_freely():
    student, teacher = points(0), points(1)
    scales = torch.linspace(0.1, 9, 8, dtype=torch.float64)[:, None]
    got = correlation_congruence_loss(scales * student, teacher)
    torch.testing.assert_close(got, correlation_congruence_loss(student, teacher))


@given(seed=st.integers(0, 2**31), gamma=st.floats(0.01, 5), order=st.integers(1, 6))
def test_bounds(seed, gamma, order):
    """A truncated exponential is in [0, 1] at even orders, rising with a range below 1 at odd."""
    value = correlation_congruence_loss(points(seed), points(seed + 1), gamma=gamma, order=order)
    assert 0 <= value.item() <= 1
