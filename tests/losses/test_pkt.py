"""PKT against the paper's probabilities in loops; what it shares is in test__relations."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.pkt import pkt_loss


def points(seed, count=8, width=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def shares(rows, i):
    masses = torch.stack([(1 + F.cosine_similarity(rows[i], row, dim=0)) / 2 for row in rows])
    return masses / masses.sum()


def test_it_is_the_mean_divergence():
    student, teacher = points(0), points(1, width=5)
    total = 0
    for i in range(8):
        p, q = shares(teacher, i), shares(student, i)
        total = total + (p * (p / q).log()).sum()
    torch.testing.assert_close(pkt_loss(student, teacher), total / 8, rtol=1e-5, atol=0)


def test_every_row_of_the_student_is_scaled_freely():
    student, teacher = points(0), points(1)
    scales = torch.linspace(0.1, 9, 8, dtype=torch.float64)[:, None]
    torch.testing.assert_close(pkt_loss(scales * student, teacher), pkt_loss(student, teacher))


def test_a_student_that_says_nothing():
    """All alike: 1 / B each. Opposite pairs: half of them, each 2 / B. The divergence is log 2."""
    teacher = torch.tensor([[1.0], [-1.0]]).repeat(3, 1)
    value = pkt_loss(torch.ones(6, 2), teacher)
    assert value.item() == pytest.approx(math.log(2), abs=1e-5)


@given(seed=st.integers(0, 2**31), count=st.integers(1, 9))
def test_it_is_never_below_zero(seed, count):
    assert pkt_loss(points(seed, count), points(seed + 1, count)).item() >= -1e-15


def test_a_missed_partner_is_dear_but_finite():
    """The student's rows are opposite where the teacher's are one: about log(1e7) in half."""
    student = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    value = pkt_loss(student, torch.ones(2, 1))
    assert value.item() == pytest.approx(math.log(1e7) / 2 - math.log(2), abs=1e-3)
