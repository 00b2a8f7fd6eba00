"""The contract that every method keeps, as a test: `check_method(MyMethod)` in one line.

What is checked, and why it matters: the loop may wrap, compile, repeat and interrupt a method that
keeps it, and nothing is lost or changed.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lookalike.backbones.base import Backbone
from lookalike.methods.base import Batch, Method, Step

SIDE = 16
BATCH = 8
COMPILES = (2, 11)  # the first torch whose compiler can trace the similarity engine


def check_method(make: Callable[[Backbone], Method], *, classes: int = 4) -> None:
    """Hold a method to the contract, on a small net and random images.

    One that takes pairs is held to it on pairs as well.

    Args:
        make: returns a new method around a backbone; a method's class is such a thing.
        classes: labels that the images carry.

    Raises:
        AssertionError: a part of the contract is broken; the message says which.
    """
    checks = (
        _loss_is_a_finite_scalar,
        _forward_only_reads,
        _every_trained_parameter_gets_a_gradient,
        _after_step_leaves_the_optimizer_its_parameters,
        _state_is_complete,
        _bfloat16_stays_close,
        _stages_lead_to_the_loss,
        _compiles_whole,
    )
    for check, paired in itertools.product(checks, (False, True)):
        torch.manual_seed(0)
        method = make(_Net())
        if method.takes_pairs or not paired:
            check(method, partial(_batch, classes=classes, paired=paired))


class _Net(Backbone):
    """A backbone of a few thousand parameters, with batch normalisation as real ones have."""

    def __init__(self) -> None:
        super().__init__(dim=16)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def forward(self, images: Tensor) -> Tensor:
        representation: Tensor = self.layers(images)
        return representation


_Draw = Callable[[Method, int], Batch]


def _batch(method: Method, seed: int, *, classes: int, paired: bool) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    count = len(method.views.views)
    views = tuple(torch.rand(BATCH, 3, SIDE, SIDE, generator=generator) for _ in range(count))
    index = torch.arange(BATCH)
    if paired:
        return Batch(views, torch.full_like(index, -1), index, index[::2] % 4 == 0)
    return Batch(views, index % classes, index)


def _train(method: Method, draw: _Draw, start: int, stop: int, optimizer: torch.optim.SGD) -> None:
    for number in range(start, stop):
        optimizer.zero_grad()
        step = method(draw(method, number))
        step.loss.backward()
        optimizer.step()
        with torch.no_grad():
            method.after_step(step, (number + 1) / 4)


def _loss_is_a_finite_scalar(method: Method, draw: _Draw) -> None:
    step = method(draw(method, 0))
    assert isinstance(step, Step), f"forward must return a Step, got {type(step).__name__}"
    assert step.loss.shape == (), f"the loss must be a scalar, got shape {tuple(step.loss.shape)}"
    assert bool(step.loss.isfinite()), f"the loss must be finite, got {step.loss.item()}"
    for name, value in step.logs.items():
        assert not value.requires_grad, f"the log {name!r} must be detached"
    for value in step.carry:
        assert not value.requires_grad, "what `carry` holds must be detached"


def _forward_only_reads(method: Method, draw: _Draw) -> None:
    averages = {
        f"{name}.{buffer}" if name else buffer
        for name, layer in method.named_modules()
        if isinstance(layer, _NormBase)
        for buffer in ("running_mean", "running_var", "num_batches_tracked")
    }
    before = copy.deepcopy(method.state_dict())
    batch = draw(method, 0)
    views = tuple(view.clone() for view in batch.views)
    method(batch)
    for name, tensor in method.state_dict().items():
        assert name in averages or tensor.equal(before[name]), f"forward moved {name}"
    for now, then in zip(batch.views, views, strict=True):
        assert now.equal(then), "forward changed the views it was given"


def _every_trained_parameter_gets_a_gradient(method: Method, draw: _Draw) -> None:
    method(draw(method, 0)).loss.backward()
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} gets no gradient: freeze it or use it"


def _after_step_leaves_the_optimizer_its_parameters(method: Method, draw: _Draw) -> None:
    step = method(draw(method, 0))
    step.loss.backward()
    torch.optim.SGD(_trained(method), lr=0.05).step()
    before = copy.deepcopy({name: each for name, each in _named(method) if each.requires_grad})
    with torch.no_grad():
        method.after_step(step, 0.5)
    for name, parameter in _named(method):
        same = name not in before or parameter.equal(before[name])
        assert same, f"after_step moved {name}, which the optimizer trains"


def _state_is_complete(method: Method, draw: _Draw) -> None:
    """Two steps, a save, two steps must equal a load and two steps, to the bit."""
    fresh = copy.deepcopy(method)
    optimizer = torch.optim.SGD(_trained(method), lr=0.05, momentum=0.9)
    _train(method, draw, 0, 2, optimizer)
    saved = copy.deepcopy((method.state_dict(), optimizer.state_dict(), torch.get_rng_state()))
    _train(method, draw, 2, 4, optimizer)
    again = torch.optim.SGD(_trained(fresh), lr=0.05, momentum=0.9)
    fresh.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    torch.set_rng_state(saved[2])
    _train(fresh, draw, 2, 4, again)
    for name, tensor in method.state_dict().items():
        same = tensor.equal(fresh.state_dict()[name])
        assert same, f"{name} differs after a resume: something the step needs is not in the state"


def _bfloat16_stays_close(method: Method, draw: _Draw) -> None:
    batch = draw(method, 0)
    full = method(batch).loss
    with torch.autocast("cpu", torch.bfloat16):
        half = method(batch).loss
    assert half.dtype == torch.float32, f"under autocast the loss must be float32, got {half.dtype}"
    close = torch.isclose(full, half, rtol=0.05, atol=0.05)
    assert bool(close), f"bfloat16 changes the loss from {full.item()} to {half.item()}"


def _stages_lead_to_the_loss(method: Method, draw: _Draw) -> None:
    method.eval()  # with the statistics of a batch, an image would not be the same twice
    images = draw(method, 0).views[0]
    with torch.no_grad():
        stages = method.stages(images)
        representation, embedding = method.backbone(images), method.embed(images)
    name, first = next(iter(stages.items()))
    assert name == "backbone", f"the first of stages must be 'backbone', got {name!r}"
    assert first.equal(representation), "the stage 'backbone' must be what the backbone returns"
    for name, vectors in stages.items():
        shape = tuple(vectors.shape)
        assert len(shape) == 2, f"the stage {name!r} must be (B, D), got {shape}"
    assert any(_same(vectors, embedding) for vectors in stages.values()), (
        f"what embed returns is none of the stages {', '.join(stages)}: "
        "name its head in `heads`, or define `stages`"
    )


def _same(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and torch.allclose(first, second, rtol=1e-4, atol=1e-5)


def _compiles_whole(method: Method, draw: _Draw) -> None:
    """Trace forward as torch.compile does, which a break in its graph would stop."""
    if _torch_version() < COMPILES:
        return
    batch = draw(method, 0)
    torch.manual_seed(1)
    eager = method(batch).loss
    torch.compiler.reset()  # it gives up on code that it has seen too often, in other methods
    torch.manual_seed(1)
    try:
        traced = torch.compile(method, fullgraph=True, backend="eager")(batch).loss
    except Exception as problem:
        told = str(problem).strip().partition("\n")[0]
        raise AssertionError(f"forward cannot be compiled whole: {told}") from problem
    finally:
        torch.compiler.reset()
    close = torch.isclose(eager, traced, rtol=1e-5, atol=1e-6)
    assert bool(close), f"compiling changes the loss from {eager.item()} to {traced.item()}"


def _torch_version() -> tuple[int, int]:
    major, minor = torch.__version__.split(".")[:2]
    return int(major), int(minor)


def _named(method: Method) -> list[tuple[str, nn.Parameter]]:
    return list(method.named_parameters())


def _trained(method: Method) -> list[nn.Parameter]:
    return [parameter for parameter in method.parameters() if parameter.requires_grad]
