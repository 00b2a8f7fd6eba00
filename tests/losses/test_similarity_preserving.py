"""SP against the paper's matrices and its bounds; what it shares is in test__relations."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.similarity_preserving import similarity_preserving_loss


def points(seed, count=8, width=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def published(student, teacher):
    grams = [F.normalize(side @ side.T, dim=1) for side in (student, teacher)]
    return torch.linalg.matrix_norm(grams[1] - grams[0]) ** 2 / len(student) ** 2


@pytest.mark.parametrize("count", [2, 8])
def test_the_papers_is_one_over_b_of_it(count):
    student, teacher = points(0, count), points(1, count, 5)
    want = published(student, teacher)
    torch.testing.assert_close(similarity_preserving_loss(student, teacher) / count, want)


@given(seed=st.integers(0, 2**31), count=st.integers(1, 9))
def test_bounds(seed, count):
    student, teacher = points(seed, count), points(seed + 1, count)
    assert 0 <= similarity_preserving_loss(student, teacher).item() <= 4
    assert similarity_preserving_loss(student.relu(), teacher.relu()).item() <= 2 + 1e-12


def test_batches_at_the_bounds():
    """All alike against all orthogonal: rows (1, ..., 1) / sqrt(B) and e_i, so 2 - 2 / sqrt(B)."""
    value = similarity_preserving_loss(torch.ones(16, 2), torch.eye(16))
    assert value.item() == pytest.approx(2 - 2 / 4)
