"""SIGReg against the integral written out, and what it comes to where that is known."""

import math

import pytest
import torch

from lookalike.losses import sigreg
from lookalike.losses.sigreg import sigreg_loss


def unit(count, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lines = torch.randn(count, width, dtype=torch.float64, generator=generator)
    return lines / lines.norm(dim=1, keepdim=True)


def rows(count=7, width=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def dense(z, directions):
    """Twice the trapezium rule over [0, 3] of how far characteristic functions are apart."""
    t = torch.linspace(0, 3, 17, dtype=z.dtype)
    phi = torch.exp(-(t**2) / 2)
    waves = (1j * (z @ directions.T)[:, :, None] * t).exp().mean(0)  # (S, 17)
    return 2 * len(z) * torch.trapezoid(phi * (waves - phi).abs().square(), t).mean()


@pytest.mark.parametrize("tile", [7, 30, 2**20])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_value_and_gradient_are_those_of_the_integral(scale, tile, monkeypatch):
    monkeypatch.setattr(sigreg, "TILE", tile)
    z, lines = (scale * rows()).requires_grad_(), unit(11, 4)
    got, want = (loss(z, lines) for loss in (sigreg_loss, dense))
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    ours, theirs = (torch.autograd.grad(each, z)[0] for each in (got, want))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_gradient_is_that_of_finite_differences():
    z, lines = rows().requires_grad_(), unit(3, 4)
    assert torch.autograd.gradcheck(lambda z: sigreg_loss(z, lines), z)


@pytest.mark.parametrize("count", [1, 64])
def test_a_complete_collapse_is_a_known_saddle(count):
    """All waves are 1 there: B times the integral of phi (1 - phi)^2, and no slope."""
    t = torch.linspace(0, 3, 17, dtype=torch.float64)
    phi = torch.exp(-(t**2) / 2)
    want = 2 * torch.trapezoid(phi * (1 - phi) ** 2, t).item()
    z = torch.zeros(count, 5, requires_grad=True)
    loss = sigreg_loss(z, unit(9, 5))
    assert loss.item() == pytest.approx(want * count)
    assert want == pytest.approx(0.402048, abs=1e-6)
    assert not torch.autograd.grad(loss, z)[0].any()


@pytest.mark.parametrize("count", [16, 512])
def test_a_normal_sample_has_the_expectation_of_every_size(count):
    """B times the variance of a mean of B waves: the integral of phi (1 - phi^2)."""
    t = torch.linspace(0, 3, 17)
    phi = torch.exp(-(t**2) / 2)
    want = 2 * torch.trapezoid(phi * (1 - phi**2), t).item()
    got = [sigreg_loss(rows(count, 64, seed), unit(256, 64, seed)).item() for seed in range(20)]
    assert sum(got) / 20 == pytest.approx(want, rel=0.06)
    assert want == pytest.approx(1.0525, abs=1e-3)


def test_mirroring_and_turning_both_changes_nothing():
    z, lines = rows(), unit(11, 4)
    turn = torch.linalg.qr(rows(4, 4, 5))[0]
    torch.testing.assert_close(sigreg_loss(-z, lines), sigreg_loss(z, lines))
    torch.testing.assert_close(sigreg_loss(z @ turn, lines @ turn), sigreg_loss(z, lines))


def test_a_mean_over_directions():
    z, lines = rows(), unit(6, 4)
    alone = torch.stack([sigreg_loss(z, line[None]) for line in lines])
    torch.testing.assert_close(sigreg_loss(z, lines), alone.mean())


def test_float32_keeps_its_digits_to_the_last_knot():
    z, lines = 3 * rows(256, 32), unit(64, 32)
    got = sigreg_loss(z.float(), lines.float())
    torch.testing.assert_close(got.double(), dense(z, lines), rtol=1e-4, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    z, lines = rows().to(dtype).requires_grad_(), unit(5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        got = sigreg_loss(z, lines)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), dense(z.double(), lines), rtol=1e-4, atol=1e-5)
    assert torch.autograd.grad(got, z)[0].dtype == dtype


def test_the_directions_get_no_gradient():
    z, lines = rows().requires_grad_(), unit(5, 4).requires_grad_()
    sigreg_loss(z, lines).backward()
    assert lines.grad is None


def test_its_gradient_is_not_differentiated_again():
    z = rows().requires_grad_()
    (gradient,) = torch.autograd.grad(sigreg_loss(z, unit(3, 4)), z, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        gradient.sum().backward()


def test_what_is_not_a_number_shows():
    z = rows()
    z[0, 0] = math.nan
    assert bool(sigreg_loss(z, unit(3, 4)).isnan())


def test_torch_compile_sees_one_graph():
    z, lines = rows().requires_grad_(), unit(5, 4)
    compiled = torch.compile(sigreg_loss, fullgraph=True, backend="aot_eager")
    got, want = compiled(z, lines), sigreg_loss(z, lines)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, z), torch.autograd.grad(want, z))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"directions": torch.ones(3, 2)}, "z and directions must have one width"),
        ({"z": torch.ones(0, 4)}, "rows must be at least 1, got 0"),
        ({"directions": torch.ones(0, 4)}, "directions must be at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        sigreg_loss(**{"z": torch.ones(3, 4), "directions": torch.ones(2, 4), **wrong})
