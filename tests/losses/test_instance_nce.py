"""P1, P4 and P5 of the property catalogue, and the equations written as loops."""

import math

import pytest
import torch
from torch.nn import functional as F

from lookalike.losses.instance_nce import estimated_normaliser, instance_nce_loss

ONE = torch.ones((), dtype=torch.float64)


def cosines(count=4, noise=6):
    generator = torch.Generator().manual_seed(0)
    positive = torch.rand(count, generator=generator, dtype=torch.float64) * 2 - 1
    return positive, torch.rand(count, noise, generator=generator, dtype=torch.float64) * 2 - 1


def slow(positive, noise, images, normaliser, temperature):
    total = 0
    chance = noise.shape[1] / images
    for own, others in zip(positive, noise, strict=True):
        p = torch.exp(own / temperature) / normaliser
        total = total - torch.log(p / (p + chance))
        for other in others:
            p = torch.exp(other / temperature) / normaliser
            total = total - torch.log(1 - p / (p + chance))
    return total / len(positive)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_it_is_the_equations(temperature):
    positive, noise = cosines()
    z = estimated_normaliser(positive, noise, images=50, temperature=temperature)
    got = instance_nce_loss(positive, noise, images=50, normaliser=z, temperature=temperature)
    torch.testing.assert_close(got, slow(positive, noise, 50, z, temperature))


@pytest.mark.parametrize("m", [1, 10, 512, 4096])
def test_where_nothing_is_known_the_value_is_known(m):
    """P1: every P is 1 / n."""
    n, temperature = 7000, 0.07
    positive, noise = torch.zeros(3, dtype=torch.float64), torch.zeros(3, m, dtype=torch.float64)
    got = instance_nce_loss(positive, noise, images=n, normaliser=n * ONE, temperature=temperature)
    assert float(got) == pytest.approx((1 + m) * math.log(1 + m) - m * math.log(m))


def test_the_normaliser_is_that_of_the_softmax_if_all_rows_are_drawn():
    positive, noise = cosines(1, 9)
    z = estimated_normaliser(positive, noise, images=10, temperature=0.2)
    every = torch.cat([positive[:, None], noise], dim=1) / 0.2
    torch.testing.assert_close(z, every.exp().sum())


def test_it_is_a_constant():
    positive, noise = (each.requires_grad_() for each in cosines())
    assert not estimated_normaliser(positive, noise, images=5).requires_grad


def test_gradients():
    inputs = tuple(each.requires_grad_() for each in cosines())
    function = lambda p, q: instance_nce_loss(p, q, images=30, normaliser=40 * ONE, temperature=0.5)  # noqa: E731
    assert torch.autograd.gradcheck(function, inputs)


def test_more_noise_comes_nearer_to_the_softmax():
    """P5: the expected gradient in the logits is the softmax's, damped by 1 - h."""
    torch.manual_seed(0)
    n, temperature = 200, 0.1
    bank = F.normalize(torch.randn(n, 16, dtype=torch.float64), dim=1)
    logits = (bank @ F.normalize(bank[0] + 0.3, dim=0)) / temperature
    z = logits.exp().sum()
    share = (logits / 1).exp() / z
    softmax = share - F.one_hot(torch.tensor(0), n)
    closeness = []
    for m in (1, 16, 256):
        s = (logits * temperature).requires_grad_()
        # All rows as noise, each as often as it would be drawn: the expectation over draws.
        own = instance_nce_loss(s[:1], s[None, :1], images=n, normaliser=z, temperature=temperature)
        positive = F.logsigmoid(s[0] / temperature - z.log() - math.log(m / n))
        others = F.logsigmoid(z.log() + math.log(m / n) - s / temperature)
        expected = -positive - m * others.mean()
        (gradient,) = torch.autograd.grad(expected, s)
        closeness.append(float(F.cosine_similarity(gradient, softmax, dim=0)))
        assert own.isfinite()
    assert closeness[0] < closeness[1] < closeness[2]
    assert closeness[2] > 0.999


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"images": 0}])
def test_nonsense_is_refused(wrong):
    positive, noise = cosines()
    settings = {"images": 5, "normaliser": ONE, **wrong}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        instance_nce_loss(positive, noise, **settings)
    with pytest.raises(ValueError, match="positive"):
        instance_nce_loss(positive[:2], noise, images=5, normaliser=ONE)
