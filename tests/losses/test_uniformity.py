import math

import pytest
import torch
from torch.nn import functional as F

from lookalike.losses.uniformity import uniformity_loss


def rows(count=7, width=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, width, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("t", [0.5, 2.0])
def test_it_is_the_log_of_the_mean_potential(t):
    z = F.normalize(rows(), dim=1)
    potentials = [
        math.exp(-t * float((z[i] - z[j]).square().sum())) for i in range(7) for j in range(i)
    ]
    want = math.log(sum(potentials) / len(potentials))
    assert float(uniformity_loss(rows(), t=t)) == pytest.approx(want)


def test_collapsed_orthonormal_and_antipodal():
    """D1: 0, -2 t, -4 t."""
    assert float(uniformity_loss(torch.ones(5, 3))) == pytest.approx(0, abs=1e-6)
    assert float(uniformity_loss(torch.eye(6))) == pytest.approx(-4)
    assert float(uniformity_loss(torch.tensor([[1.0, 0], [-2.0, 0]]))) == pytest.approx(-8)


def test_random_directions_of_a_large_sphere():
    torch.manual_seed(0)
    assert float(uniformity_loss(torch.randn(2000, 128))) == pytest.approx(-3.94, abs=0.02)


def test_gradients():
    assert torch.autograd.gradcheck(uniformity_loss, (rows().requires_grad_(),))


def test_lengths_and_order_do_not_matter():
    z = rows()
    torch.testing.assert_close(uniformity_loss(5 * z.flip(0)), uniformity_loss(z))


@pytest.mark.parametrize("wrong", [{"t": 0.0}, {"vectors": rows(1)}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        uniformity_loss(**{"vectors": rows(), **wrong})
