"""Barlow Twins against the equations written out, and what they come to where that is known."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lookalike.losses.barlow_twins import barlow_twins_loss


def views(count=8, width=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, count, width, dtype=torch.float64, generator=generator).unbind()


def dense(z1, z2, redundancy=0.0051):
    """The authors' way: batch normalisation without parameters, then the correlations."""
    norm = nn.BatchNorm1d(z1.shape[1], affine=False, dtype=torch.float64)
    c = norm(z1).T @ norm(z2) / len(z1)
    others = c[~torch.eye(len(c), dtype=torch.bool)]
    return (c.diag() - 1).square().sum() + redundancy * others.square().sum()


def whitened(count, width):
    z = torch.randn(count, width, dtype=torch.float64)
    return torch.linalg.qr(z - z.mean(0))[0] * 1e4


class Largest(TorchDispatchMode):
    """Remember the most bytes that a tensor had which some operation made."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [each.nbytes for each in tree_leaves(result) if isinstance(each, torch.Tensor)]
        self.bytes = max(self.bytes, *sizes, 0)
        return result


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (6, 6), (2, 3)])
@pytest.mark.parametrize("redundancy", [0.0051, 0.0, 1.0])
def test_value_and_gradient_are_those_of_the_equations(shape, redundancy):
    z1, z2 = (each.requires_grad_() for each in views(*shape))
    got, want = (loss(z1, z2, redundancy=redundancy) for loss in (barlow_twins_loss, dense))
    torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-11)
    ours, theirs = (torch.autograd.grad(each, (z1, z2)) for each in (got, want))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_gradient_is_that_of_finite_differences(shape):
    z1, z2 = (each.requires_grad_() for each in views(*shape))
    assert torch.autograd.gradcheck(barlow_twins_loss, (z1, z2))


def test_whitened_equal_views_cost_nothing_and_opposite_ones_4_a_dimension():
    z = whitened(20, 6)
    assert barlow_twins_loss(z, z).item() < 1e-9
    assert barlow_twins_loss(z, -z).item() == pytest.approx(4 * 6)


def test_a_collapse_costs_1_a_dimension():
    assert barlow_twins_loss(*torch.ones(2, 6, 4)).item() == pytest.approx(4)


def test_no_scale_and_no_shift_of_a_dimension_matters():
    z1, z2 = (1e3 * each for each in views())
    scale = torch.tensor([1.0, 3, 0.5, 8, 2], dtype=torch.float64)
    got = barlow_twins_loss(z1 * scale + 5, z2 / scale - scale)
    torch.testing.assert_close(got, barlow_twins_loss(z1, z2), rtol=1e-8, atol=0)


def test_independent_views_correlate_by_chance_alone():
    """The expectation of a squared correlation of B independent rows is 1 / (B - 1)."""
    generator = torch.Generator().manual_seed(3)
    z1, z2 = torch.randn(2, 200, 40, generator=generator).unbind()
    both = barlow_twins_loss(z1, z2, redundancy=1.0) - barlow_twins_loss(z1, z2, redundancy=0.0)
    assert both.item() == pytest.approx(40 * 39 / 199, rel=0.1)


def test_the_order_of_images_dimensions_and_views_does_not_matter():
    (z1, z2), loss = views(), barlow_twins_loss(*views())
    images, dimensions = torch.randperm(8), torch.randperm(5)
    torch.testing.assert_close(barlow_twins_loss(z1[images], z2[images]), loss)
    torch.testing.assert_close(barlow_twins_loss(z1[:, dimensions], z2[:, dimensions]), loss)
    torch.testing.assert_close(barlow_twins_loss(z2, z1), loss)


def test_nothing_is_made_that_is_larger_than_the_projections():
    """(D, D) would be 268 MB for projections of 8.4 MB."""
    z1, z2 = (torch.randn(256, 8192).requires_grad_() for _ in range(2))
    with Largest() as made:
        barlow_twins_loss(z1, z2).backward()
    assert made.bytes == z1.nbytes < 20e6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    z1, z2 = ((100 * each).to(dtype) for each in views(8, 40))
    with torch.autocast("cpu", torch.bfloat16):
        got = barlow_twins_loss(z1, z2)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), dense(z1.double(), z2.double()), rtol=1e-5, atol=0)


def test_a_dimension_that_never_varies_has_a_finite_gradient():
    z = torch.ones(4, 3, requires_grad=True)
    barlow_twins_loss(z, torch.randn(4, 3)).backward()
    assert bool(z.grad.isfinite().all())


def test_what_is_not_a_number_shows():
    z1, z2 = views()
    z1[0, 0] = torch.nan
    assert bool(barlow_twins_loss(z1, z2).isnan())


def test_torch_compile_sees_one_graph():
    z1, z2 = views(5, 8)
    compiled = torch.compile(barlow_twins_loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z1, z2), barlow_twins_loss(z1, z2))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"z2": torch.ones(3, 2)}, "z1 and z2 must have one shape"),
        ({"z1": torch.ones(0, 2), "z2": torch.ones(0, 2)}, "rows must be at least 1, got 0"),
        ({"redundancy": -1}, "redundancy must be at least 0, got -1"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        barlow_twins_loss(**{"z1": torch.ones(4, 2), "z2": torch.ones(4, 2), **wrong})
