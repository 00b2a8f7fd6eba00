"""NT-Logistic against slow loops and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from lookalike.losses.nt_logistic import nt_logistic_loss


def views(seed: int, images: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2, images, 3, dtype=torch.float64, generator=generator)
    return z[0], z[1]


def slow(z1: Tensor, z2: Tensor, temperature: float, semi_hard: bool) -> float:
    z, total = F.normalize(torch.cat([z1, z2]), dim=1), 0.0
    for i in range(len(z)):
        partner = float(z[i] @ z[(i + len(z1)) % len(z)])
        others = [float(z[i] @ z[j]) for j in range(len(z)) if j % len(z1) != i % len(z1)]
        if semi_hard:
            others = sorted(cosine for cosine in others if cosine < partner)[-1:]
        total -= math.log(sigmoid(partner / temperature))
        if others:
            terms = [math.log(sigmoid(-cosine / temperature)) for cosine in others]
            total -= sum(terms) / len(terms)
    return total / len(z)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@given(seed=st.integers(0, 2**31), images=st.integers(1, 6), temperature=st.floats(0.1, 2))
@pytest.mark.parametrize("negatives", ["all", "semi_hard"])
def test_table_2(negatives: str, seed: int, images: int, temperature: float) -> None:
    z1, z2 = views(seed, images)
    actual = float(nt_logistic_loss(z1, z2, temperature=temperature, negatives=negatives))
    assert actual == pytest.approx(slow(z1, z2, temperature, negatives == "semi_hard"))
    assert 0 <= actual <= 2 * math.log1p(math.exp(1 / temperature))
    swapped = nt_logistic_loss(9 * z2, z1, temperature=temperature, negatives=negatives)
    assert float(swapped) == pytest.approx(actual)


@pytest.mark.parametrize("negatives", ["all", "semi_hard"])
def test_gradient_is_that_of_finite_differences(negatives: str) -> None:
    z1, z2 = (z.requires_grad_() for z in views(0))
    assert gradcheck(lambda a, b: nt_logistic_loss(a, b, negatives=negatives), (z1, z2))


def test_orthogonal_rows_are_a_coin_toss_twice() -> None:
    every = torch.eye(8)
    assert float(nt_logistic_loss(every[:4], every[4:])) == pytest.approx(2 * math.log(2))


def test_at_collapse_no_negative_is_semi_hard() -> None:
    alike = torch.tensor([[1.0, 0.0]]).expand(4, 2)
    every = nt_logistic_loss(alike, alike, temperature=0.5)
    assert float(every) == pytest.approx(math.log1p(math.exp(-2)) + math.log1p(math.exp(2)))
    hardest = nt_logistic_loss(alike, alike, temperature=0.5, negatives="semi_hard")
    assert float(hardest) == pytest.approx(math.log1p(math.exp(-2)))


@pytest.mark.parametrize("negatives", ["all", "semi_hard"])
def test_edges_are_finite(negatives: str) -> None:
    for z in (torch.zeros(4, 3), torch.ones(4, 3), torch.ones(1, 3), torch.ones(4, 3).bfloat16()):
        z.requires_grad_()
        value = nt_logistic_loss(z, z, negatives=negatives)
        assert value.dtype == torch.float32
        assert bool(value.isfinite())
        assert bool(torch.autograd.grad(value, z)[0].isfinite().all())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"z2": torch.ones(3, 2)}, "z1 and z2 must have one shape"),
        ({"temperature": 0}, "temperature must be above 0, got 0"),
        ({"negatives": "hard"}, "negatives must be one of all, semi_hard"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nt_logistic_loss(**{"z1": torch.ones(4, 2), "z2": torch.ones(4, 2), **arguments})
