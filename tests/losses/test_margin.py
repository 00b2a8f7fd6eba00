"""The margin triplet objective against slow loops and closed forms."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from lookalike.losses.margin import margin_loss


def views(seed: int, images: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2, images, 3, dtype=torch.float64, generator=generator)
    return z[0], z[1]


def slow(z1: Tensor, z2: Tensor, margin: float, semi_hard: bool) -> float:
    z, total = F.normalize(torch.cat([z1, z2]), dim=1), 0.0
    for i in range(len(z)):
        partner = float(z[i] @ z[(i + len(z1)) % len(z)])
        others = [float(z[i] @ z[j]) for j in range(len(z)) if j % len(z1) != i % len(z1)]
        if semi_hard:  # within the margin, less alike than the partner, and of those the nearest
            window = [cosine for cosine in others if partner - margin < cosine < partner]
            others = [max(window)] if window else []
        hinges = [max(0.0, cosine - partner + margin) for cosine in others]
        total += sum(hinges) / max(len(hinges), 1)
    return total / len(z)


@given(seed=st.integers(0, 2**31), images=st.integers(1, 6), margin=st.floats(0.05, 2))
@pytest.mark.parametrize("negatives", ["all", "semi_hard"])
def test_table_2(negatives: str, seed: int, images: int, margin: float) -> None:
    z1, z2 = views(seed, images)
    actual = float(margin_loss(z1, z2, margin=margin, negatives=negatives))
    assert actual == pytest.approx(slow(z1, z2, margin, negatives == "semi_hard"), abs=1e-12)
    assert 0 <= actual <= 2 + margin
    swapped = margin_loss(9 * z2, z1, margin=margin, negatives=negatives)
    assert float(swapped) == pytest.approx(actual)


@pytest.mark.parametrize("negatives", ["all", "semi_hard"])
def test_gradient_is_that_of_finite_differences(negatives: str) -> None:
    z1, z2 = (z.requires_grad_() for z in views(0))
    assert gradcheck(lambda a, b: margin_loss(a, b, negatives=negatives), (z1, z2))


def test_collapse_costs_the_margin_and_orthogonal_images_nothing() -> None:
    alike, apart = torch.ones(4, 3), torch.eye(4)
    assert float(margin_loss(alike, alike, margin=0.3)) == pytest.approx(0.3)
    assert float(margin_loss(alike, alike, margin=0.3, negatives="semi_hard")) == pytest.approx(0)
    assert float(margin_loss(apart, apart, margin=1.0)) == pytest.approx(0)
    assert float(margin_loss(apart, -apart, margin=0.5)) == pytest.approx(1.5)


@pytest.mark.parametrize("negatives", ["all", "semi_hard"])
def test_edges_are_finite(negatives: str) -> None:
    for z in (torch.zeros(4, 3), torch.ones(4, 3), torch.ones(1, 3), torch.ones(4, 3).bfloat16()):
        z.requires_grad_()
        value = margin_loss(z, z, negatives=negatives)
        assert value.dtype == torch.float32
        assert bool(value.isfinite())
        assert bool(torch.autograd.grad(value, z)[0].isfinite().all())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"z2": torch.ones(3, 2)}, "z1 and z2 must have one shape"),
        ({"margin": 0}, "margin must be above 0, got 0"),
        ({"negatives": "hard"}, "negatives must be one of all, semi_hard"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        margin_loss(**{"z1": torch.ones(4, 2), "z2": torch.ones(4, 2), **arguments})
