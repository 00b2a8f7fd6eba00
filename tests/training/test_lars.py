"""LARS against a slow loop, plain SGD, and what the formula promises (property O1)."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lookalike.training.lars import LARS


def make_parameters(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(5, 3), (2, 3, 3, 3), (7,), ()]
    return [nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64)) for s in shapes]


def give_gradients(parameters: list[nn.Parameter], seed: int, *, scale: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.grad = scale * noise


def slow_lars(
    p: list[float], g: list[float], v: list[float], *, lr: float, wd: float, mom: float, eta: float
) -> tuple[list[float], list[float]]:
    """One tensor, one step, number by number; return its weights and its momentum."""
    g = [gi + wd * pi for gi, pi in zip(g, p, strict=True)]
    length, steepness = math.sqrt(sum(x * x for x in p)), math.sqrt(sum(x * x for x in g))
    trust = eta * length / steepness if length > 0 and steepness > 0 else 1.0
    v = [mom * vi + lr * trust * gi for vi, gi in zip(v, g, strict=True)]
    return [pi - vi for pi, vi in zip(p, v, strict=True)], v


def test_equals_the_slow_loop_while_the_rate_changes() -> None:
    parameters = make_parameters()
    optimizer = LARS(parameters, lr=1.0, momentum=0.9, weight_decay=0.01, trust_coefficient=0.02)
    expected = [(p.detach().flatten().tolist(), [0.0] * p.numel()) for p in parameters]
    for step, rate in enumerate((0.5, 2.0, 1.0, 0.1)):
        optimizer.param_groups[0]["lr"] = rate
        give_gradients(parameters, seed=step)
        gradients = [p.grad for p in parameters if p.grad is not None]
        optimizer.step()
        expected = [
            slow_lars(p, g.flatten().tolist(), v, lr=rate, wd=0.01, mom=0.9, eta=0.02)
            for (p, v), g in zip(expected, gradients, strict=True)
        ]
    for parameter, (values, _) in zip(parameters, expected, strict=True):
        wanted = torch.tensor(values, dtype=torch.float64).reshape(parameter.shape)
        torch.testing.assert_close(parameter.detach(), wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("zero", ["weights", "gradient"])
def test_a_zero_norm_gives_trust_1(zero: str) -> None:
    start = torch.zeros(3, 2) if zero == "weights" else torch.ones(3, 2)
    gradient = torch.zeros(3, 2) if zero == "gradient" else torch.ones(3, 2)
    parameter = nn.Parameter(start.clone())
    parameter.grad = gradient
    LARS([parameter], lr=0.5).step()
    torch.testing.assert_close(parameter.detach(), start - 0.5 * gradient, rtol=0, atol=0)


def test_tensors_that_are_not_adapted_equal_plain_sgd() -> None:
    ours, theirs = make_parameters(), make_parameters()
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    lars = LARS([{"params": ours, "adapt": False}], **options)
    plain = torch.optim.SGD(theirs, **options)
    for step in range(5):
        give_gradients(ours, seed=step)
        give_gradients(theirs, seed=step)
        lars.step()
        plain.step()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


@given(scale=st.floats(1e-3, 1e3))
def test_the_scale_of_the_loss_does_not_matter_without_decay(scale: float) -> None:
    once, scaled = make_parameters(), make_parameters()
    for parameters, factor in ((once, 1.0), (scaled, scale)):
        optimizer = LARS(parameters, lr=3.0)
        for step in range(3):
            give_gradients(parameters, seed=step, scale=factor)
            optimizer.step()
    for a, b in zip(once, scaled, strict=True):
        torch.testing.assert_close(a, b)


@given(rate=st.floats(1e-3, 1e3))
def test_the_first_step_is_linear_in_the_rate(rate: float) -> None:
    def buffers(lr: float) -> list[Tensor]:
        parameters = make_parameters()
        optimizer = LARS(parameters, lr=lr, weight_decay=0.1)
        give_gradients(parameters, seed=1)
        optimizer.step()
        return [optimizer.state[p]["momentum_buffer"] for p in parameters]

    for one, many in zip(buffers(1.0), buffers(rate), strict=True):
        torch.testing.assert_close(rate * one, many)


def test_a_step_of_rate_1_is_the_trust_coefficient_times_the_weights_length() -> None:
    parameter = make_parameters()[0]
    length = parameter.detach().norm()
    give_gradients([parameter], seed=3)
    optimizer = LARS([parameter], lr=1.0, trust_coefficient=0.01)
    optimizer.step()
    torch.testing.assert_close(optimizer.state[parameter]["momentum_buffer"].norm(), 0.01 * length)


def test_never_asks_the_device_for_a_value() -> None:
    parameter = nn.Parameter(torch.empty(3, 2, device="meta"))  # there is no value to be had
    parameter.grad = torch.empty_like(parameter)
    optimizer = LARS([parameter], lr=1.0, weight_decay=0.1)
    optimizer.step()  # would raise on reading one
    assert optimizer.state[parameter]["momentum_buffer"].is_meta


def test_tensors_without_gradient_stay() -> None:
    used, unused = make_parameters()[:2]
    before = unused.detach().clone()
    give_gradients([used], seed=0)
    optimizer = LARS([used, unused], lr=1.0)
    optimizer.step()
    assert torch.equal(unused, before)
    optimizer.zero_grad()
    optimizer.step()  # nothing to do


def test_its_state_is_all_that_the_next_step_needs() -> None:
    straight, stopped = make_parameters(), make_parameters()
    first, second = LARS(straight, lr=1.0), LARS(stopped, lr=1.0)
    for step in range(4):
        if step == 2:
            state = copy.deepcopy(second.state_dict())
            second = LARS(stopped, lr=9.0)
            second.load_state_dict(state)
        for parameters, optimizer in ((straight, first), (stopped, second)):
            give_gradients(parameters, seed=step)
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(straight, stopped, strict=True))


def test_the_closure_is_called_with_gradients_on() -> None:
    parameter = nn.Parameter(torch.ones(2, 2))
    optimizer = LARS([parameter], lr=1.0)

    def closure() -> float:
        loss = parameter.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 4.0
    assert optimizer.step() is None


@pytest.mark.parametrize(
    "option",
    [{"lr": -1.0}, {"momentum": 1.5}, {"weight_decay": -1.0}, {"trust_coefficient": 0.0}],
)
def test_refuses_what_cannot_be(option: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        LARS(make_parameters(), **{"lr": 1.0, **option})
