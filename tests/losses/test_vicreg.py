"""VICReg against the equations written out, and what they come to where that is known."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lookalike.losses.vicreg import vicreg_loss


def views(count=8, width=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, count, width, dtype=torch.float64, generator=generator).unbind()


def dense(z1, z2, invariance=25, variance=25, covariance=1):
    """Equations 1 to 6, with the mean over the views of the second as in the authors' code."""
    loss = invariance * F.mse_loss(z1, z2)
    for z in (z1, z2):
        c = torch.cov(z.T)
        loss = loss + variance * F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() / 2
        loss = loss + covariance * (c - c.diag().diag()).square().sum() / z.shape[1]
    return loss


def whitened(count, width):
    """Return rows whose columns have mean 0, variance 1 by N - 1, and no correlation."""
    z = torch.randn(count, width, dtype=torch.float64)
    return torch.linalg.qr(z - z.mean(0))[0] * (count - 1) ** 0.5


class Largest(TorchDispatchMode):
    """Remember the most bytes that a tensor had which some operation made."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [each.nbytes for each in tree_leaves(result) if isinstance(each, torch.Tensor)]
        self.bytes = max(self.bytes, *sizes, 0)
        return result


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (6, 6), (2, 3)])
@pytest.mark.parametrize("weights", [{}, {"invariance": 0}, {"variance": 3}, {"covariance": 7}])
def test_value_and_gradient_are_those_of_the_equations(shape, weights):
    z1, z2 = (each.requires_grad_() for each in views(*shape))
    got, want = (loss(z1, z2, **weights) for loss in (vicreg_loss, dense))
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    ours, theirs = (torch.autograd.grad(each, (z1, z2)) for each in (got, want))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_gradient_is_that_of_finite_differences(shape):
    z1, z2 = ((each / 2).requires_grad_() for each in views(*shape))
    assert torch.autograd.gradcheck(vicreg_loss, (z1, z2))


def test_a_collapse_costs_what_the_deviation_lacks_to_1():
    assert vicreg_loss(*torch.zeros(2, 6, 4)).item() == pytest.approx(25 * (1 - 0.01))


def test_whitened_equal_views_cost_nothing():
    z = whitened(20, 6)
    assert abs(vicreg_loss(z, z).item()) < 1e-12


def test_moving_one_view_costs_its_distance_alone():
    z1, z2 = views()
    shift = torch.tensor([1.0, 0, -2, 0, 0.5], dtype=torch.float64)
    more = vicreg_loss(z1, z1 + shift) - vicreg_loss(z1, z1)
    assert more.item() == pytest.approx(25 * shift.square().sum().item() / 5)
    both = vicreg_loss(z1 + shift, z2 + shift)
    torch.testing.assert_close(both, vicreg_loss(z1, z2))


def test_the_order_of_images_dimensions_and_views_does_not_matter():
    (z1, z2), loss = views(), vicreg_loss(*views())
    images, dimensions = torch.randperm(8), torch.randperm(5)
    torch.testing.assert_close(vicreg_loss(z1[images], z2[images]), loss)
    torch.testing.assert_close(vicreg_loss(z1[:, dimensions], z2[:, dimensions]), loss)
    torch.testing.assert_close(vicreg_loss(z2, z1), loss)


def test_nothing_is_made_that_is_larger_than_the_embeddings():
    """(D, D) would be 268 MB for embeddings of 8.4 MB."""
    z1, z2 = (torch.randn(256, 8192).requires_grad_() for _ in range(2))
    with Largest() as made:
        vicreg_loss(z1, z2).backward()
    assert made.bytes == z1.nbytes < 20e6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    z1, z2 = ((100 * each).to(dtype) for each in views(8, 40))
    with torch.autocast("cpu", torch.bfloat16):
        got = vicreg_loss(z1, z2)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), dense(z1.double(), z2.double()), rtol=1e-5, atol=0)


def test_a_dimension_that_never_varies_has_a_finite_gradient():
    z = torch.ones(4, 3, requires_grad=True)
    vicreg_loss(z, torch.zeros(4, 3)).backward()
    assert bool(z.grad.isfinite().all())


def test_what_is_not_a_number_shows():
    z1, z2 = views()
    z1[0, 0] = torch.nan
    assert bool(vicreg_loss(z1, z2).isnan())


def test_torch_compile_sees_one_graph():
    z1, z2 = views(5, 8)
    compiled = torch.compile(vicreg_loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z1, z2), vicreg_loss(z1, z2))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"z2": torch.ones(3, 2)}, "z1 and z2 must have one shape"),
        ({"z1": torch.ones(1, 2), "z2": torch.ones(1, 2)}, "rows must be at least 2, got 1"),
        ({"covariance": -1}, "covariance must be at least 0, got -1"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        vicreg_loss(**{"z1": torch.ones(4, 2), "z2": torch.ones(4, 2), **wrong})
