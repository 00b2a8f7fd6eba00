"""Which parameters each optimizer decays, adapts and schedules."""

import inspect
import math

import pytest
import torch
from torch import nn

from lookalike.training import optim
from lookalike.training.schedule import own_rates, scale_rates


class Predicting(nn.Module):
    """A body and a predictor, with matrices and vectors in both."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.predictor = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 4))
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.temperature = nn.Parameter(torch.ones(()))


def options_by_name(module: nn.Module, optimizer: torch.optim.Optimizer, option: str) -> dict:
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    return {
        names[id(p)]: group[option] for group in optimizer.param_groups for p in group["params"]
    }


@pytest.mark.parametrize("make", [optim.sgd, optim.lars, optim.adamw])
def test_every_trainable_parameter_is_in_exactly_one_group(make) -> None:
    module = Predicting()
    given = [p for group in make(module, ["predictor"]).param_groups for p in group["params"]]
    wanted = {id(p) for p in module.parameters() if p.requires_grad}
    assert len(given) == len(wanted)
    assert {id(p) for p in given} == wanted


@pytest.mark.parametrize("make", [optim.sgd, optim.lars, optim.adamw])
def test_a_parameter_that_two_modules_share_counts_once(make) -> None:
    module = Predicting()
    module.predictor[1].weight = nn.Parameter(module.predictor[0].weight.T.detach().clone())
    module.body.add_module("tied", module.predictor[1])
    schedules = options_by_name(module, make(module, ["predictor"]), "schedule")
    assert schedules["body.tied.weight"] == "constant"


def test_lars_leaves_vectors_out_of_decay_and_adaptation() -> None:
    module = Predicting()
    optimizer = optim.lars(module)
    decay = options_by_name(module, optimizer, "weight_decay")
    adapt = options_by_name(module, optimizer, "adapt")
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            assert adapt[name] == (parameter.ndim > 1), name
            assert decay[name] == (1e-6 if parameter.ndim > 1 else 0.0), name


@pytest.mark.parametrize("make", [optim.sgd, optim.adamw])
def test_vectors_decay_only_if_asked(make) -> None:
    module = Predicting()
    decay = options_by_name(module, make(module, weight_decay=0.5), "weight_decay")
    assert set(decay.values()) == {0.5}
    decay = options_by_name(
        module, make(module, weight_decay=0.5, decay_vectors=False), "weight_decay"
    )
    assert {name for name, value in decay.items() if value} == {
        "body.0.weight",
        "predictor.0.weight",
        "predictor.1.weight",
    }


@pytest.mark.parametrize("make", [optim.sgd, optim.lars, optim.adamw])
def test_a_constant_rate_stays_while_the_others_follow(make) -> None:
    module = Predicting()
    optimizer = make(module, ["predictor"], lr=0.7)
    scale_rates(optimizer, own_rates(optimizer), 0.5)
    for name, rate in options_by_name(module, optimizer, "lr").items():
        assert rate == (0.7 if name.startswith("predictor") else 0.35), name


def test_groups_made_elsewhere_keep_their_own_rates_apart() -> None:
    """Asked for 0.01 and 0.1, half of the way down they have half of each, twice over."""
    layers = [nn.Linear(2, 2), nn.Linear(2, 2)]
    groups = [
        {"params": list(layer.parameters()), "lr": rate}
        for layer, rate in zip(layers, (0.01, 0.1), strict=True)
    ]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    peaks = own_rates(optimizer)
    for share in (0.5, 0.25):
        scale_rates(optimizer, peaks, share)
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == [0.01 * share, 0.1 * share]


def test_adamw_takes_the_step_of_its_paper() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 2.0)
    optimizer = optim.adamw(module, lr=0.1, betas=(0.9, 0.99), weight_decay=0.5)
    module.weight.grad = torch.full_like(module.weight, 3.0)
    optimizer.step()
    # Algorithm 2 at t = 1: both averages are unbiased to g and g * g, so the step is g / |g|
    torch.testing.assert_close(module.weight.item(), 2.0 * (1 - 0.1 * 0.5) - 0.1)


def test_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="weight_decay"):
        optim.sgd(Predicting(), weight_decay=-1.0)
    with pytest.raises(ValueError, match="momentum"):
        optim.sgd(Predicting(), momentum=math.nan)
    with pytest.raises(AttributeError, match="no_such_part"):
        optim.sgd(Predicting(), ["no_such_part"])


def test_every_option_is_one_that_a_command_line_can_say() -> None:
    for make in (optim.sgd, optim.lars, optim.adamw):
        options = [
            p for p in inspect.signature(make).parameters.values() if p.kind == p.KEYWORD_ONLY
        ]
        assert all(type(option.default) in (bool, float, tuple) for option in options)
