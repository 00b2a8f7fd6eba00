"""C1 and C5: the bound, and the variables whose information is known."""

import math

import pytest
import torch

from lookalike.evaluation.mutual_information import (
    correlated_gaussians,
    gaussian_information,
    info_nce_bound,
)
from lookalike.losses.info_nce import info_nce_loss


@pytest.mark.parametrize("candidates", [1, 2, 16, 1000])
def test_c1_a_blind_guess_tells_nothing(candidates):
    blind = torch.zeros(candidates, 4)
    loss = float(info_nce_loss(blind, blind, normalise=False))
    assert info_nce_bound(loss, candidates) == pytest.approx(0, abs=1e-6)


def test_c1_certainty_tells_the_log_of_the_candidates_and_no_more():
    certain = 100 * torch.eye(12)
    loss = float(info_nce_loss(certain, certain, normalise=False))
    assert info_nce_bound(loss, 12) == pytest.approx(math.log(12))


@pytest.mark.parametrize("correlation", [0.0, 0.5, -0.9, 0.999])
def test_information_is_that_of_the_covariance(correlation):
    """I = (log det A + log det B - log det of both together) / 2, for any Gaussians."""
    one = torch.eye(3, dtype=torch.float64)
    pair = torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.float64)
    both = torch.kron(pair, one)
    expected = -0.5 * float(torch.linalg.slogdet(both)[1])
    assert gaussian_information(width=3, correlation=correlation) == pytest.approx(expected)


def test_draws_have_the_correlation_they_promise():
    generator = torch.Generator().manual_seed(0)
    count = 200_000
    x, y = correlated_gaussians(count, width=2, correlation=0.7, generator=generator)
    covariance = torch.cov(torch.cat([x, y], dim=1).T)
    expected = torch.tensor([[1, 0, 0.7, 0], [0, 1, 0, 0.7], [0.7, 0, 1, 0], [0, 0.7, 0, 1]])
    # an entry's standard deviation is at most sqrt(2 / n)
    assert (covariance - expected).abs().max() < 5 * math.sqrt(2 / count)


def test_c5_the_best_critic_stays_under_the_truth_and_nears_it():
    """The density ratio of correlated Gaussians as a product of features, and its bound."""
    width, correlation = 2, 0.8
    truth = gaussian_information(width=width, correlation=correlation)
    spare = 1 - correlation**2
    generator = torch.Generator().manual_seed(0)
    bounds = []
    for candidates in (2, 8, 64, 512):
        total = 0.0
        draws = 20_000 // candidates
        for _ in range(draws):
            x, y = correlated_gaussians(
                candidates, width=width, correlation=correlation, generator=generator
            )
            # log p(y | x) / p(y) = (2 r x.y - r^2 |x|^2 - r^2 |y|^2) / (2 (1 - r^2)) + a constant;
            # what x alone says is the same for all candidates and cancels
            lengths = y.square().sum(1, keepdim=True)
            query = torch.cat([correlation / spare * x, torch.ones(candidates, 1)], dim=1)
            key = torch.cat([y, -(correlation**2) / (2 * spare) * lengths], dim=1)
            loss = info_nce_loss(query, key, temperature=1, normalise=False)
            total += info_nce_bound(float(loss), candidates)
        bounds.append(total / draws)
        assert bounds[-1] <= min(truth + 0.03, math.log(candidates))
    assert bounds == sorted(bounds)
    assert bounds[-1] == pytest.approx(truth, abs=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: info_nce_bound(-0.1, 4), "loss"),
        (lambda: info_nce_bound(0.1, 0), "candidates"),
        (lambda: gaussian_information(width=0, correlation=0.5), "width"),
        (lambda: gaussian_information(width=2, correlation=1.0), "correlation"),
        (lambda: correlated_gaussians(0, width=2, correlation=0.5), "count"),
        (lambda: correlated_gaussians(3, width=2, correlation=-1.0), "correlation"),
    ],
)
def test_nonsense_is_refused(call, message):
    with pytest.raises(ValueError, match=f"{message} must be"):
        call()
