"""VID against torch's normal distribution, and where its variance settles."""

import math

import pytest
import torch
import torch.nn.functional as F

from lookalike.losses.vid import vid_loss

SHAPES = [(5, 3), (5, 3, 4, 2), (5, 3, 6)]


def given(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mean, teacher = torch.randn(2, *shape, dtype=torch.float64, generator=generator).unbind(0)
    return mean, teacher, torch.tensor([-2.0, 0.0, 1.5], dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("least", [1e-5, 0.3])
def test_it_is_the_negative_log_likelihood_less_a_constant(shape, least):
    mean, teacher, log_variance = given(shape)
    deviation = (log_variance.exp() + least).sqrt().view(-1, *[1] * (len(shape) - 2))
    likelihood = torch.distributions.Normal(mean, deviation).log_prob(teacher)
    want = -(likelihood + math.log(2 * math.pi) / 2).sum() / 5
    got = vid_loss(mean, teacher, log_variance, least_variance=least)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_of_the_mean_and_of_the_variance(shape):
    mean, teacher, log_variance = given(shape, seed=1)
    assert torch.autograd.gradcheck(
        lambda mean, logarithm: vid_loss(mean, teacher, logarithm),
        (mean.requires_grad_(), log_variance.requires_grad_()),
    )


def test_the_papers_variance_is_the_softplus_of_its_parameter():
    mean, teacher, parameter = given((5, 3, 4, 2), seed=2)
    variance = F.softplus(parameter)
    terms = (mean - teacher).square() / variance.view(-1, 1, 1) / 2
    want = (terms.sum() + 8 * 5 * variance.log().sum() / 2) / 5
    torch.testing.assert_close(vid_loss(mean, teacher, variance.log(), least_variance=1e-12), want)


def test_the_best_variance_of_a_channel_is_its_mean_squared_error():
    mean, teacher, _ = given((5, 3, 4, 2), seed=3)
    best = (mean - teacher).square().mean((0, 2, 3)).log().requires_grad_()
    loss = vid_loss(mean, teacher, best, least_variance=1e-12)
    assert torch.autograd.grad(loss, best)[0].abs().max() < 1e-9
    for off in (-0.1, 0.1):
        assert vid_loss(mean, teacher, best + off, least_variance=1e-12) > loss


def test_with_variance_1_it_is_half_the_squared_distance():
    mean, teacher, _ = given((5, 3, 4, 2), seed=4)
    want = (mean - teacher).square().sum() / 2 / 5
    got = vid_loss(mean, teacher, torch.zeros(3).double(), least_variance=1e-15)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("logarithm", [-1e4, -100.0, 100.0, 1e4])
def test_no_variance_is_too_small_or_too_large(logarithm):
    """The least one bounds the loss where the student predicts perfectly."""
    teacher = torch.randn(5, 3, 4, 2)
    log_variance = torch.full((3,), logarithm, requires_grad=True)
    loss = vid_loss(teacher, teacher, log_variance)
    want = 3 * 8 * max(logarithm, math.log(1e-5)) / 2
    assert loss.item() == pytest.approx(want)
    assert bool(torch.autograd.grad(loss, log_variance)[0].isfinite().all())


def test_nonsense_is_refused():
    mean, teacher, log_variance = given((5, 3, 4, 2))
    with pytest.raises(ValueError, match=r"log_variance must hold one number a channel.*\(2,\)"):
        vid_loss(mean, teacher, log_variance[:2])
    with pytest.raises(ValueError, match="log_variance must hold one number a channel"):
        vid_loss(mean[:, 0, 0, 0], teacher[:, 0, 0, 0], log_variance)
    with pytest.raises(ValueError, match="least_variance must be above 0"):
        vid_loss(mean, teacher, log_variance, least_variance=0.0)
    with pytest.raises(ValueError, match=r"must have one shape.*\(5, 3, 4, 2\).*\(5, 3, 4, 1\)"):
        vid_loss(mean, teacher[..., :1], log_variance)
