"""The closed forms of the specification, section 10, and the paper's sums written as loops."""

import math

import pytest
import torch
from torch.nn import functional as F

import lookalike.losses.spreading as module
from lookalike.losses.spreading import spreading_loss


def views(count, width=8, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, count, width, generator=generator, dtype=dtype).unbind(0)


def slow(z1, z2, temperature, spread, stop=True):
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    count, images = len(z), len(z1)
    total = 0
    for i in range(count):
        compared = {
            j: torch.exp(z[i] @ (z[j].detach() if stop else z[j]) / temperature)
            for j in range(count)
            if j != i
        }
        mass = sum(compared.values())
        partner = (i + images) % count
        total = total - torch.log(compared[partner] / mass)
        for j, value in compared.items():
            if j != partner:
                total = total - spread * torch.log(1 - value / mass)
    return total / count


@pytest.mark.parametrize("stop", [True, False])
@pytest.mark.parametrize("spread", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_value_and_gradient_are_those_of_the_loops(temperature, spread, stop):
    z1, z2 = (z.requires_grad_() for z in views(5))
    options = {"temperature": temperature, "spread": spread}
    got = spreading_loss(z1, z2, stop_gradient=stop, **options)
    want = slow(z1, z2, temperature, spread, stop)
    torch.testing.assert_close(got, want)
    for one, other in zip(
        torch.autograd.grad(got, (z1, z2)), torch.autograd.grad(want, (z1, z2)), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_identical_partners_of_orthonormal_images(temperature):
    count = 8
    eye = torch.eye(count, dtype=torch.float64)
    e = math.exp(1 / temperature)
    d = e + 2 * count - 2
    want = -math.log(e / d) - (2 * count - 2) * math.log(1 - 1 / d)
    got = float(spreading_loss(eye, eye, temperature=temperature))
    assert got == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_collapse_costs_the_same_at_any_temperature(temperature):
    alike = torch.ones(8, 4, dtype=torch.float64)
    m = 15
    want = math.log(m) + (m - 1) * math.log(m / (m - 1))
    assert float(spreading_loss(alike, alike, temperature=temperature)) == pytest.approx(want)


def test_stopping_the_gradient_leaves_about_half():
    z1, z2 = (z.requires_grad_() for z in views(16))
    lengths = []
    for stop in (True, False):
        loss = spreading_loss(z1, z2, stop_gradient=stop, temperature=0.5)
        gradient = torch.cat(torch.autograd.grad(loss, (z1, z2)))
        lengths.append(float(gradient.norm()))
    assert 1.5 < lengths[1] / lengths[0] < 2.5


def test_gradients():
    pair = tuple(z.requires_grad_() for z in views(4))
    assert torch.autograd.gradcheck(lambda a, b: spreading_loss(a, b, stop_gradient=False), pair)


def test_blocks_are_the_whole(monkeypatch):
    """More rows than are compared at a time change neither value nor gradient."""
    results = []
    for rows in (1000, 7):
        monkeypatch.setattr(module, "ROWS", rows)
        z1, z2 = (z.requires_grad_() for z in views(12))
        loss = spreading_loss(z1, z2)
        results.append((loss, *torch.autograd.grad(loss, (z1, z2))))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_one_that_dominates_costs_much_but_not_everything():
    """P near 1 for a stranger: the logarithm is held off, and so is the gradient."""
    z1 = torch.tensor([[1.0, 0.0], [1.0, 1e-4], [0.0, 1.0]], requires_grad=True)
    z2 = torch.tensor([[-1.0, 0.0], [-1.0, 1e-4], [0.0, -1.0]], requires_grad=True)
    loss = spreading_loss(z1, z2, temperature=0.01)
    loss.backward()
    assert loss.isfinite()
    assert z1.grad.isfinite().all()


def test_lengths_order_and_exchange_do_not_matter():
    z1, z2 = views(6)
    loss = spreading_loss(z1, z2)
    order = torch.randperm(6)
    torch.testing.assert_close(spreading_loss(3 * z1, z2 / 7), loss)
    torch.testing.assert_close(spreading_loss(z1[order], z2[order]), loss)
    torch.testing.assert_close(spreading_loss(z2, z1), loss)


def test_one_image_has_nothing_to_be_mistaken_for():
    z1, z2 = views(1)
    assert float(spreading_loss(z1, z2)) == 0


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"spread": -1}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        spreading_loss(*views(3), **wrong)


def test_autocast_does_not_touch_the_cosines():
    z1, z2 = views(6, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss = spreading_loss(z1, z2)
    torch.testing.assert_close(loss, spreading_loss(z1, z2))
