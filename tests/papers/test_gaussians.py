"""C5: a critic that learns stays under the truth and under log N."""

import inspect
import math

import pytest
import torch

from lookalike import registry
from lookalike.evaluation.mutual_information import gaussian_information
from lookalike.papers.base import claims_of
from lookalike.papers.gaussians import ceiling, estimate, information

PAIR = {"width": 2, "correlation": 0.8}


def test_c5_a_learnt_bound_is_a_bound():
    state = torch.get_rng_state()
    bounds = [estimate(candidates=n, seed=0, steps=150, hidden_dim=32, **PAIR) for n in (1, 2, 256)]
    assert torch.get_rng_state().equal(state)
    truth = information(seed=0, **PAIR)
    assert truth == gaussian_information(**PAIR)
    assert bounds[0] == pytest.approx(0, abs=1e-6)  # one candidate tells nothing
    assert 0 < bounds[1] < ceiling(candidates=2, seed=0, **PAIR) == math.log(2)
    # 51,200 draws, each of the density ratio's log, whose variance is width * correlation^2
    error = math.sqrt(2 * 0.8**2 / 51_200)
    assert bounds[1] < bounds[2] < truth + 5 * error


def test_independent_variables_tell_nothing():
    bound = estimate(candidates=16, seed=0, steps=20, width=2, correlation=0.0)
    assert bound < 0.02


def test_a_group_must_fit_the_batch():
    with pytest.raises(ValueError, match="candidates must be a divisor of 256, got 3"):
        estimate(candidates=3, seed=0, **PAIR)


EXPERIMENTS = [
    (claim, arm)
    for paper in registry.names("papers")
    for claim in claims_of(paper)
    for arm in claim.arms
    if arm.experiment is not None
]


@pytest.mark.parametrize(("claim", "arm"), EXPERIMENTS)
def test_every_experiment_takes_its_arms_settings(claim, arm):
    function = registry.load(registry.locate("papers", arm.experiment))
    given = {**claim.settings, **arm.settings, "seed": 0}
    bound = inspect.signature(function).bind(**given)  # raises TypeError where one is not taken
    assert bound.arguments.keys() >= {"seed"}
