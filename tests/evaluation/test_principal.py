"""Principal axes against NumPy's singular values, by each of the ways to find them."""

import numpy as np
import pytest
import torch

from lookalike.evaluation.principal import EXACT, FITTED, principal_axes


def vectors(rows: int, width: int) -> torch.Tensor:
    """Rows whose variance falls off from direction to direction, away from 0."""
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.normal(size=(width, min(rows, width))))[0]
    scale = 1 / np.arange(1, min(rows, width) + 1)
    return torch.from_numpy(random.normal(size=(rows, min(rows, width))) * scale @ turn.T + 3)


@pytest.mark.parametrize(
    ("rows", "width"),
    [(200, 30), (20, EXACT + 40), (EXACT + 40, EXACT + 60)],
    ids=["few columns", "few rows", "many of both"],
)
def test_the_subspace_is_that_of_the_singular_vectors(rows, width):
    data = vectors(rows, width)
    found = principal_axes(data, count=8)
    centred = data.numpy() - data.numpy().mean(0)
    expected = np.linalg.svd(centred, full_matrices=False)[2][:8]
    axes = found.axes.numpy()
    np.testing.assert_allclose(axes.T @ axes, np.eye(8), atol=1e-6)
    overlap = np.abs(expected @ axes)  # each axis alone, up to its sign
    np.testing.assert_allclose(overlap, np.eye(8), atol=0.02)
    components = found.project(data).numpy()
    np.testing.assert_allclose(components.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(np.abs(components), np.abs(centred @ expected.T), atol=0.02)


def test_no_more_axes_than_rows_or_columns():
    assert principal_axes(vectors(50, 4), count=9).axes.shape == (4, 4)
    few = principal_axes(vectors(3, EXACT + 1), count=9)
    assert few.axes.shape == (EXACT + 1, 2)  # three points lie in a plane
    one = principal_axes(torch.ones(1, 5), count=2)
    assert torch.equal(one.project(torch.ones(3, 5)), torch.zeros(3, one.axes.shape[1]))
    none = principal_axes(torch.ones(1, EXACT + 1), count=2)
    assert none.project(torch.ones(3, EXACT + 1)).shape[0] == 3


def test_the_same_seed_draws_the_same_rows():
    data = torch.randn(FITTED + 500, 6, generator=torch.Generator().manual_seed(0))
    dice = torch.get_rng_state()
    first, second, other = (principal_axes(data, count=3, seed=seed) for seed in (1, 1, 2))
    assert first.axes.equal(second.axes)
    assert not first.mean.equal(other.mean)
    assert torch.get_rng_state().equal(dice)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 1, "vectors": torch.ones(0, 3)}])
def test_what_has_no_axes_is_refused(wrong):
    with pytest.raises(ValueError, match=r"count|rows"):
        principal_axes(wrong.pop("vectors", torch.ones(2, 3)), **wrong)
