"""Attention transfer against loops, and what it must not see."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.attention_transfer import attention_transfer_loss


def maps(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes]


def attention(image, power):
    """Place by place, of one image's (C, H, W)."""
    channels, height, width = image.shape
    values = [
        sum(abs(float(image[c, i, j])) ** power for c in range(channels))
        for i in range(height)
        for j in range(width)
    ]
    length = math.sqrt(sum(value**2 for value in values))
    return [value / length for value in values]


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_value_is_that_of_the_loop_with_other_channels(power):
    student, teacher = maps((5, 3, 4, 2), (5, 7, 4, 2))
    total = 0.0
    for ours, theirs in zip(student, teacher, strict=True):
        both = attention(ours, power), attention(theirs, power)
        total += sum((a - b) ** 2 for a, b in zip(*both, strict=True))
    got = attention_transfer_loss(student, teacher, power=power)
    assert got.item() == pytest.approx(total / 5)


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_gradients_at_other_powers(power):
    student, teacher = maps((2, 3, 2, 2), (2, 3, 2, 2), seed=1)
    assert torch.autograd.gradcheck(
        lambda student: attention_transfer_loss(student, teacher, power=power),
        student.requires_grad_(),
    )


@given(seed=st.integers(0, 2**31), scale=st.floats(0.01, 100))
def test_scales_and_at_power_2_mixtures_of_channels_do_not_matter(seed, scale):
    student, teacher, mixing = maps((5, 3, 4, 2), (5, 7, 4, 2), (3, 3), seed=seed)
    loss = attention_transfer_loss(student, teacher)
    rotation = torch.linalg.qr(mixing)[0]
    mixed = scale * torch.einsum("dc,nchw->ndhw", rotation, student)
    torch.testing.assert_close(attention_transfer_loss(mixed, teacher), loss)
    each = scale * torch.arange(1, 6).double()[:, None, None, None]  # another scale an image
    torch.testing.assert_close(attention_transfer_loss(each * student, teacher), loss)
    assert 0 < loss.item() <= 2


@pytest.mark.parametrize("size", [(4, 4), (2, 4), (4, 2), (2, 2)])
def test_the_larger_map_is_pooled(size):
    """Of a map whose blocks are constant, the means are the values."""
    small, other = maps((5, 3, *size), (5, 3, 4, 4))
    wide = small.repeat_interleave(4 // size[0], 2).repeat_interleave(4 // size[1], 3)
    assert attention_transfer_loss(small, wide).item() == pytest.approx(0, abs=1e-15)
    assert attention_transfer_loss(wide, small).item() == pytest.approx(0, abs=1e-15)
    height, width = 4 // size[0], 4 // size[1]
    pooled = other.unflatten(3, (-1, width)).unflatten(2, (-1, height)).mean((3, 5))
    want = attention_transfer_loss(pooled, small)
    torch.testing.assert_close(attention_transfer_loss(other, small), want)


def test_one_that_is_higher_and_one_that_is_wider_meet_in_the_smaller_of_both():
    high, wide = maps((5, 3, 4, 2), (5, 3, 2, 4))
    pooled = high.unflatten(2, (2, 2)).mean(3), wide.unflatten(3, (2, 2)).mean(4)
    torch.testing.assert_close(
        attention_transfer_loss(high, wide), attention_transfer_loss(*pooled)
    )


def test_two_that_look_elsewhere_are_at_distance_2_and_one_that_looks_nowhere_at_1():
    student, teacher = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    teacher[0, :, 0, 0] = 3
    student.requires_grad_()
    nowhere = attention_transfer_loss(student, teacher)
    assert nowhere.item() == 1
    assert not torch.autograd.grad(nowhere, student)[0].any()
    elsewhere = teacher.roll(1, 3)
    assert attention_transfer_loss(elsewhere, teacher).item() == pytest.approx(2)


def test_nonsense_is_refused():
    good = torch.ones(2, 3, 4, 4)
    with pytest.raises(ValueError, match="power must be at least 1"):
        attention_transfer_loss(good, good, power=0.5)
    with pytest.raises(ValueError, match=r"must be maps \(rows, channels, height, width\)"):
        attention_transfer_loss(good, torch.ones(2, 3))
