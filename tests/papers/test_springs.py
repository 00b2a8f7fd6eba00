"""Springs rest where their forces do, wherever they start; another energy rests elsewhere."""

import pytest
import torch

from lookalike.papers import springs
from lookalike.papers.springs import imbalance, tolerance

REST = {"margin": 1.25, "steps": 500, "rate": 0.1}


@pytest.mark.parametrize("seed", range(3))
def test_three_springs_settle_on_a_line(seed):
    assert imbalance(seed=seed, **REST) < 1e-6
    assert imbalance(seed=seed, **REST | {"steps": 0}) > 0.1


def test_the_error_is_a_share_of_the_margin():
    assert imbalance(seed=0, **REST | {"margin": 40.0}) < 1e-6
    starts = [imbalance(seed=0, **REST | {"steps": 0, "margin": m}) for m in (1.0, 40.0)]
    assert starts[0] == pytest.approx(starts[1])


def test_springs_that_are_all_alike_settle_elsewhere(monkeypatch):
    monkeypatch.setattr(springs, "SIMILAR", torch.tensor([True, True, True]))
    assert imbalance(seed=0, **REST) == pytest.approx(2 / 3)  # all in one point


def test_an_unlike_spring_that_is_long_enough_lets_go(monkeypatch):
    """One pair alike, two not: both are at rest, the energy is 0 and not m^2 / 6."""
    monkeypatch.setattr(springs, "SIMILAR", torch.tensor([True, False, False]))
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [3.0, 0.0]])
    assert springs._energy(points, 1.0) == 0
    assert imbalance(seed=0, **REST) > 0.1


def test_the_tolerance_is_what_it_says():
    assert tolerance(margin=1.0, seed=0, share=1e-3) == 1e-3
