"""NST against a loop over channels, in both of its ways, and what it must not see."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from lookalike.losses.nst import nst_loss

FEW_PLACES, MANY_PLACES = (2, 1), (4, 5)  # beside 3 channels and 5


def maps(size, seed=0, channels=(3, 5)):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(4, count, *size, dtype=torch.float64, generator=generator) for count in channels
    ]


def kernel(a, b):
    """(a . b)^2 of two channels at norm 1."""
    a, b = a.flatten().tolist(), b.flatten().tolist()
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return (product / math.hypot(*a) / math.hypot(*b)) ** 2


def mean_kernel(first, second):
    return sum(kernel(a, b) for a in first for b in second) / len(first) / len(second)


@pytest.mark.parametrize("size", [FEW_PLACES, MANY_PLACES])
def test_value_is_that_of_the_loop(size):
    student, teacher = maps(size)
    total = 0.0
    for ours, theirs in zip(student, teacher, strict=True):
        total += mean_kernel(ours, ours) + mean_kernel(theirs, theirs)
        total -= 2 * mean_kernel(ours, theirs)
    assert nst_loss(student, teacher).item() == pytest.approx(total / 4)


@pytest.mark.parametrize("size", [FEW_PLACES, MANY_PLACES])
def test_gradient_is_that_of_finite_differences(size):
    student, teacher = maps(size, seed=1)
    assert torch.autograd.gradcheck(
        lambda student: nst_loss(student, teacher), student.requires_grad_()
    )


@pytest.mark.parametrize("size", [FEW_PLACES, MANY_PLACES])
@given(seed=st.integers(0, 2**31))
def test_order_scale_and_sign_of_channels_do_not_matter(size, seed):
    student, teacher = maps(size, seed)
    loss = nst_loss(student, teacher)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(3, generator=generator)
    scales = torch.tensor([0.3, -2.0, 50.0]).double()[:, None, None]
    torch.testing.assert_close(nst_loss(scales * student[:, order], teacher), loss)
    assert nst_loss(scales * student[:, order], student).item() == pytest.approx(0, abs=1e-12)
    twice = torch.cat([student, student], dim=1)  # the same sample, drawn twice
    torch.testing.assert_close(nst_loss(twice, teacher), loss)
    assert -1e-12 <= loss.item() <= 2


@pytest.mark.parametrize("size", [(1, 2), (4, 5)])
def test_channels_that_choose_other_places_are_at_distance_2(size):
    """K(S, S) = K(T, T) = 1 and K(S, T) = 0."""
    student, teacher = torch.zeros(1, 3, *size), torch.zeros(1, 3, *size)
    student[..., 0, 0], teacher[..., 0, 1] = 2, 5
    assert nst_loss(student, teacher).item() == pytest.approx(2)


@pytest.mark.parametrize("size", [FEW_PLACES, MANY_PLACES])
def test_a_channel_that_is_dead_stays_so(size):
    student, teacher = maps(size, seed=2)
    student[:, 1] = 0
    loss = nst_loss(student.requires_grad_(), teacher)
    (gradient,) = torch.autograd.grad(loss, student)
    assert bool(gradient.isfinite().all())
    assert not gradient[:, 1].any()
    assert gradient[:, 0].any()


class Largest(TorchDispatchMode):
    """Remember the size of the largest tensor that is made."""

    def __init__(self):
        super().__init__()
        self.size = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        if isinstance(result, torch.Tensor):
            self.size = max(self.size, result.numel())
        return result


@pytest.mark.parametrize(("channels", "size"), [(4, (20, 20)), (200, (2, 2))])
def test_it_holds_the_smaller_products(channels, size):
    """Nothing larger than the maps, though places or channels squared are 25 or 50 times that."""
    student, teacher = maps(size, channels=(channels, channels))
    with Largest() as made:
        nst_loss(student.requires_grad_(), teacher).backward()
    assert made.size <= student.numel()


def test_maps_of_another_size_are_refused_and_both_are_named():
    with pytest.raises(ValueError, match=r"one height and width.*\(2, 3, 4, 4\).*\(2, 5, 8, 4\)"):
        nst_loss(torch.ones(2, 3, 4, 4), torch.ones(2, 5, 8, 4))
    with pytest.raises(ValueError, match=r"must be maps \(rows, channels, height, width\)"):
        nst_loss(torch.ones(2, 3), torch.ones(2, 3))
