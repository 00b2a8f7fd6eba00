"""NT-Xent against closed forms, slow loops and torch's cross entropy: N1 to N7 and N9.

N8, several processes, is in tests/nn/test_gather.py.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from lookalike.losses.nt_xent import nt_xent_loss
from lookalike.pairwise import similarity

TEMPERATURES = [0.1, 0.2, 0.5, 1.0]


def dense(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """Cross entropy over all 2B x 2B logits."""
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    logits = (z @ z.T / temperature).fill_diagonal_(-math.inf)
    return F.cross_entropy(logits, torch.arange(len(z)).roll(len(z1)))


def slow(z1: Tensor, z2: Tensor, temperature: float) -> float:
    """Equation 1 and the average over it, view by view."""
    z = [(row / row.norm()).tolist() for row in torch.cat([z1, z2])]
    total = 0.0
    for i, row in enumerate(z):
        similarity = [math.exp(math.fsum(map(float.__mul__, row, x)) / temperature) for x in z]
        partner = similarity[(i + len(z1)) % len(z)]
        total -= math.log(partner / (sum(similarity) - similarity[i]))
    return total / len(z)


def views(seed: int, images: int = 6, width: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2, images, width, dtype=torch.float64, generator=generator)
    return z[0], z[1]


def loss(z1: Tensor, z2: Tensor, temperature: float) -> float:
    return float(nt_xent_loss(z1, z2, temperature=temperature))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_equation_1(temperature: float) -> None:
    z1, z2 = views(0)
    assert loss(z1, z2, temperature) == pytest.approx(slow(z1, z2, temperature), rel=1e-12)


@pytest.mark.parametrize("tile", [(5, 7), (512, 2048)])
@pytest.mark.parametrize(
    "temperature", [0.01, 0.1, 0.5]
)  # the first is too sharp to go by symmetry
def test_value_and_gradient_are_the_dense_ones_in_float32(
    temperature: float, tile: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "CPU_TILE", tile)
    exact = tuple(z.requires_grad_() for z in views(1, images=40, width=16))
    single = tuple(z.detach().float().requires_grad_() for z in exact)
    want, got = dense(*exact, temperature), nt_xent_loss(*single, temperature=temperature)
    assert got.item() == pytest.approx(want.item(), rel=1e-5)
    for expected, actual in zip(
        torch.autograd.grad(want, exact), torch.autograd.grad(got, single), strict=True
    ):
        assert (actual - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("normalise", [True, False])
def test_gradient_is_that_of_finite_differences(normalise: bool) -> None:
    z1, z2 = (z.requires_grad_() for z in views(2))
    assert gradcheck(lambda a, b: nt_xent_loss(a, b, normalise=normalise), (z1, z2))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_n1_identical_partners_orthonormal_images(temperature: float) -> None:
    z = torch.eye(8)
    closed = math.log1p(14 * math.exp(-1 / temperature))
    assert loss(z, z, temperature) == pytest.approx(closed, abs=1e-5)


@pytest.mark.parametrize("images", [8, 256])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_n2_collapse_and_orthonormal_rows_are_a_blind_guess(
    images: int, temperature: float
) -> None:
    alike, every = torch.ones(images, 3), torch.eye(2 * images)
    guess = math.log(2 * images - 1)
    assert loss(alike, alike, temperature) == pytest.approx(guess, abs=1e-5)
    assert loss(every[:images], every[images:], temperature) == pytest.approx(guess, abs=1e-5)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_n3_no_rows_do_better_than_a_simplex(temperature: float) -> None:
    simplex = torch.eye(8, dtype=torch.float64) - 1 / 8  # cosines -1 / 7
    least = math.log1p(14 * math.exp(-8 / 7 / temperature))
    assert loss(simplex, simplex, temperature) == pytest.approx(least, abs=1e-12)
    for seed in range(20):
        near = simplex + 0.1 * views(seed, images=8, width=8)[0]
        assert loss(near, near, temperature) > least


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_n4_opposite_partners(temperature: float) -> None:
    z = torch.eye(8)
    closed = 1 / temperature + math.log(math.exp(-1 / temperature) + 14)
    assert loss(z, -z, temperature) == pytest.approx(closed, abs=1e-5)


def test_n5_gradient_in_closed_form() -> None:
    z = torch.cat(views(3)).requires_grad_()
    (gradient,) = torch.autograd.grad(nt_xent_loss(z[:6], z[6:], temperature=0.3), z)
    norms = z.norm(dim=1, keepdim=True)
    unit = (z / norms).detach()
    logits = (unit @ unit.T / 0.3).fill_diagonal_(-math.inf)
    surprise = logits.softmax(1) - torch.eye(12).roll(6, 1)  # P - Y
    of_unit = (surprise + surprise.T) @ unit / (12 * 0.3)
    expected = (of_unit - unit * (unit * of_unit).sum(1, keepdim=True)) / norms
    assert torch.allclose(gradient, expected, atol=1e-14)
    assert (gradient * z).sum(1).abs().max().item() < 1e-14


@given(
    seed=st.integers(0, 2**31),
    images=st.integers(2, 8),
    temperature=st.floats(0.05, 2),
    scale=st.floats(1e-3, 1e3),
)
def test_n6_invariances(seed: int, images: int, temperature: float, scale: float) -> None:
    z1, z2 = views(seed, images)
    value = pytest.approx(loss(z1, z2, temperature), rel=1e-9)
    rotation = torch.linalg.qr(views(seed + 1, 4)[0])[0]
    scales = torch.linspace(1, scale, images, dtype=torch.float64)[:, None]
    order = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    assert loss(z1 @ rotation, z2 @ rotation, temperature) == value
    assert loss(z1 * scales, z2, temperature) == value
    assert loss(z1[order], z2[order], temperature) == value
    assert loss(z2, z1, temperature) == value
    assert 0 <= value.expected <= math.log1p((2 * images - 2) * math.exp(2 / temperature))


def test_n7_the_papers_code_returns_twice_the_papers_loss() -> None:
    z1, z2 = (F.normalize(z, dim=1) for z in views(4))
    total = 0.0
    for a, b in ((z1, z2), (z2, z1)):  # one mean a view, added up
        within = (a @ a.T / 0.2).fill_diagonal_(-math.inf)
        total += F.cross_entropy(torch.cat([a @ b.T / 0.2, within], dim=1), torch.arange(6)).item()
    assert total == pytest.approx(2 * loss(z1, z2, 0.2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_n9_autocast(dtype: torch.dtype) -> None:
    z1, z2 = (z.float().requires_grad_() for z in views(5, images=32, width=16))
    full = nt_xent_loss(z1, z2)
    with torch.autocast("cpu", dtype=dtype):
        cast = nt_xent_loss(z1, z2)
    assert cast.dtype == torch.float32
    assert cast.item() == pytest.approx(full.item(), abs=1e-5)
    half = nt_xent_loss(z1.to(dtype), z2.to(dtype))
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(full.item(), abs=1e-3 if dtype == torch.float16 else 3e-2)
    for gradient in torch.autograd.grad(half, (z1, z2)):
        assert bool(gradient.isfinite().all())


def test_dot_products_where_not_normalised() -> None:
    z1, z2 = views(6)
    z = torch.cat([z1, z2])
    logits = (z @ z.T / 2.0).fill_diagonal_(-math.inf)
    expected = F.cross_entropy(logits, torch.arange(12).roll(6))
    actual = nt_xent_loss(z1, z2, temperature=2.0, normalise=False)
    assert actual.item() == pytest.approx(expected.item())
    assert actual.item() != pytest.approx(loss(z1, z2, 2.0))


def test_one_image_has_nothing_to_be_mistaken_for() -> None:
    z1, z2 = (z.requires_grad_() for z in views(7, images=1))
    value = nt_xent_loss(z1, z2)
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert all(g.abs().max() < 1e-12 for g in torch.autograd.grad(value, (z1, z2)))


def test_a_zero_row_has_cosine_zero_and_no_gradient() -> None:
    z1, z2 = views(8)
    z1[2] = 0
    z1.requires_grad_()
    value = nt_xent_loss(z1, z2, temperature=0.5)
    assert value.item() == pytest.approx(dense(z1, z2, 0.5).item())
    (gradient,) = torch.autograd.grad(value, z1)
    assert bool(gradient.isfinite().all())
    assert not gradient[2].any()
    zeros = torch.zeros(4, 3)
    assert loss(zeros, zeros, 0.1) == pytest.approx(math.log(7))


def test_arguments_are_left_as_they_were() -> None:
    z1, z2 = views(9)
    before = z1.clone(), z2.clone()
    nt_xent_loss(z1.requires_grad_(), z2).backward()
    assert torch.equal(z1, before[0])
    assert torch.equal(z2, before[1])


def test_torch_compile_sees_one_graph() -> None:
    z1, z2 = (z.requires_grad_() for z in views(10))
    compiled = torch.compile(nt_xent_loss, fullgraph=True, backend="aot_eager")
    got, want = compiled(z1, z2), nt_xent_loss(z1, z2)
    assert got.item() == pytest.approx(want.item())
    assert torch.allclose(*(torch.autograd.grad(value, z1)[0] for value in (got, want)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"z2": torch.ones(3, 2)}, "z1 and z2 must have one shape"),
        ({"z1": torch.ones(4), "z2": torch.ones(4)}, "z1 must be a matrix"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nt_xent_loss(**{"z1": torch.ones(4, 2), "z2": torch.ones(4, 2), **arguments})


@pytest.mark.parametrize("temperature", [0.005, 0.1])
def test_it_is_exactly_0_for_one_image_and_never_below(temperature):
    """The partner is one of the others, so a sum over them is no less than its own share."""
    for seed in range(40):
        z1, z2 = (each.float() for each in views(seed, images=1, width=64))
        assert nt_xent_loss(z1, z2, temperature=temperature).item() == 0
        z1, _ = (each.float() for each in views(seed, images=3, width=64))
        assert nt_xent_loss(z1, z1, temperature=temperature).item() >= 0
    assert nt_xent_loss(z1[:1] * math.nan, z1[:1], temperature=temperature).isnan()
