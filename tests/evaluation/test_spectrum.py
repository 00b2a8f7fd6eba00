"""Spread, effective rank and spectral decay where theory says what they are."""

import math

import numpy as np
import pytest
import torch

from lookalike.evaluation.spectrum import alpha_req, effective_rank, spread


def rotation(width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(width, width, generator=generator).double())[0]


def test_spread_of_an_even_sphere_is_1_and_of_a_point_0():
    vectors = torch.randn(20_000, 64, generator=torch.Generator().manual_seed(0))
    assert spread(vectors) == pytest.approx(1.0, abs=0.01)
    assert spread(torch.ones(50, 64)) == pytest.approx(0.0, abs=1e-6)
    assert spread(torch.randn(1, 64)) == 0.0


def test_spread_is_the_mean_deviation_of_a_slow_loop():
    vectors = torch.randn(9, 5, generator=torch.Generator().manual_seed(1)) + 1
    unit = [[float(x) / math.hypot(*map(float, row)) for x in row] for row in vectors]
    deviations = []
    for channel in zip(*unit, strict=True):
        mean = sum(channel) / 9
        deviations.append(math.sqrt(sum((x - mean) ** 2 for x in channel) / 9))
    assert spread(vectors) == pytest.approx(math.sqrt(5) * sum(deviations) / 5)


@pytest.mark.parametrize("shape", [(6, 6), (40, 6), (6, 40)])
def test_effective_rank_of_orthonormal_directions_counts_them(shape):
    vectors = torch.eye(max(shape)).double()[: shape[0], : shape[1]]
    assert effective_rank(vectors @ rotation(shape[1], 2)) == pytest.approx(6, rel=1e-4)


def test_effective_rank_of_one_direction_is_1():
    line = torch.outer(torch.linspace(-3, 5, 30), torch.randn(12))
    assert effective_rank(line) == pytest.approx(1, abs=1e-3)
    assert effective_rank(torch.zeros(4, 3)) == pytest.approx(1, abs=1e-3)


def test_effective_rank_is_the_formula_on_singular_values():
    vectors = torch.randn(100, 20, generator=torch.Generator().manual_seed(3)) + 0.5
    values = np.linalg.svd(vectors.double().numpy(), compute_uv=False)
    shares = values / values.sum() + 1e-7
    expected = math.exp(-float((shares * np.log(shares)).sum()))
    assert effective_rank(vectors) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.2, 2.0])
@pytest.mark.parametrize("shape", [(300, 120), (150, 200)])
def test_alpha_is_the_exponent_that_was_planted(exponent, shape):
    """Singular values r ** (-alpha / 2) of centred vectors make variances r ** -alpha."""
    count = min(shape) - 1
    generator = torch.Generator().manual_seed(5)
    basis = torch.randn(shape[0], count, generator=generator).double()
    left = torch.linalg.qr(basis - basis.mean(0))[0]  # orthonormal columns of mean 0
    values = torch.arange(1, count + 1).double() ** (-exponent / 2)
    vectors = (left * values) @ rotation(shape[1], 6)[:count] + 3.0
    assert alpha_req(vectors) == pytest.approx(exponent, abs=1e-6)


def test_alpha_is_not_a_number_for_too_few_directions():
    assert math.isnan(alpha_req(torch.randn(50, 4)))
    assert math.isnan(alpha_req(torch.ones(50, 40)))


@pytest.mark.parametrize("measure", [spread, effective_rank, alpha_req])
def test_a_matrix_with_rows_is_wanted(measure):
    with pytest.raises(ValueError, match="matrix"):
        measure(torch.zeros(3))
    with pytest.raises(ValueError, match="at least 1"):
        measure(torch.zeros(0, 3))
