"""InfoNCE against closed forms and torch's cross entropy: C1, C4, C5, M1, M2, M4."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from lookalike.losses.info_nce import info_nce_loss
from lookalike.pairwise.similarity import row_logsumexp


def unit(seed: int, rows: int, width: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, width, dtype=torch.float64, generator=generator), dim=1)


@pytest.mark.parametrize("temperature", [0.01, 0.2, 1.0])
def test_the_other_keys_are_the_negatives(temperature: float) -> None:
    query, key = 3 * unit(0, 7), 0.5 * unit(1, 7)
    logits = F.normalize(query) @ F.normalize(key).T / temperature
    expected = F.cross_entropy(logits, torch.arange(7))
    actual = info_nce_loss(query, key, temperature=temperature)
    assert actual.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("temperature", [0.01, 0.07, 1.0])
def test_a_queue_is_the_negatives(temperature: float) -> None:
    query, key, queue = 3 * unit(0, 7), 0.5 * unit(1, 7), unit(2, 11)
    positive = F.cosine_similarity(query, key)[:, None]  # column 0, as MoCo has it
    logits = torch.cat([positive, F.normalize(query) @ queue.T], dim=1) / temperature
    expected = F.cross_entropy(logits, torch.zeros(7, dtype=torch.int64))
    actual = info_nce_loss(query, key, queue, temperature=temperature)
    assert actual.item() == pytest.approx(expected.item())


def test_gradient_is_that_of_finite_differences() -> None:
    query, key, queue = (unit(s, n).requires_grad_() for s, n in ((0, 5), (1, 5), (2, 6)))
    assert gradcheck(info_nce_loss, (query, key))
    assert gradcheck(info_nce_loss, (query, key, queue))


def test_m2_only_the_query_asks_for_a_gradient() -> None:
    query, key, queue = unit(0, 5).requires_grad_(), unit(1, 5), unit(2, 6)
    info_nce_loss(query, key, queue).backward()
    assert query.grad is not None
    assert key.grad is None
    assert queue.grad is None


@pytest.mark.parametrize("count", [1, 2, 60])
def test_c1_a_blind_guess(count: int) -> None:
    blind = torch.zeros(count, 8)
    assert float(info_nce_loss(blind, blind)) == pytest.approx(math.log(count), abs=1e-6)


@pytest.mark.parametrize("count", [1, 512, 4096])
def test_m1_a_blind_guess_in_a_queue(count: int) -> None:
    query, queue = torch.zeros(3, 2), F.normalize(torch.ones(count, 2))
    value = info_nce_loss(query, query, queue, temperature=0.07)
    assert value.item() == pytest.approx(math.log(count + 1), abs=1e-5)


def test_m4_identical_key_and_orthogonal_queue() -> None:
    basis = torch.eye(12)
    value = info_nce_loss(basis[:2], basis[:2], basis[2:], temperature=0.2)
    assert value.item() == pytest.approx(math.log1p(10 * math.exp(-5)), abs=1e-6)


@given(seed=st.integers(0, 2**31), count=st.integers(1, 8), temperature=st.floats(0.05, 2))
def test_c4_bounds_and_permutation(seed: int, count: int, temperature: float) -> None:
    query, key = unit(seed, count), unit(seed + 1, count)
    value = float(info_nce_loss(query, key, temperature=temperature))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    shuffled = info_nce_loss(query[order], key[order], temperature=temperature)
    assert float(shuffled) == pytest.approx(value, abs=1e-12)
    assert -1e-12 <= value <= math.log1p((count - 1) * math.exp(2 / temperature)) + 1e-12


def test_c5_never_more_information_than_there_is() -> None:
    # the critic that knows the answer, f = p(y | x) / p(y), for correlated Gaussians
    width, count, generator = 4, 128, torch.Generator().manual_seed(0)
    for correlation in (0.0, 0.3, 0.6, 0.9, 0.99):
        spare = 1 - correlation**2
        truth = -width / 2 * math.log(spare)
        estimates = []
        for _ in range(20):
            x, noise = torch.randn(2, count, width, dtype=torch.float64, generator=generator)
            y = correlation * x + math.sqrt(spare) * noise
            # log f(x, y) = (2 r x.y - r^2 |x|^2 - r^2 |y|^2) / (2 (1 - r^2)) + a constant
            half = correlation / (2 * spare)
            ones = torch.ones(count, 1, dtype=torch.float64)
            rows = torch.cat([2 * half * x, ones, -half * correlation * norm(x)], dim=1)
            columns = torch.cat([y, -half * correlation * norm(y), ones], dim=1)
            loss = (row_logsumexp(rows, columns) - (rows * columns).sum(1)).mean()
            estimates.append(math.log(count) - float(loss))
        assert max(estimates) <= math.log(count)
        mean = sum(estimates) / len(estimates)
        assert mean <= truth + 0.05
        if truth < 2:  # far below log(count), where the bound is tight
            assert mean == pytest.approx(truth, abs=0.1)


def norm(x: Tensor) -> Tensor:
    return x.square().sum(1, keepdim=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast(dtype: torch.dtype) -> None:
    query, key, queue = (unit(s, 9, 16).float().requires_grad_() for s in range(3))
    full = info_nce_loss(query, key, queue.detach())
    with torch.autocast("cpu", dtype=dtype):
        cast = info_nce_loss(query, key, queue.detach())
    assert cast.dtype == torch.float32
    assert cast.item() == pytest.approx(full.item(), abs=1e-5)
    half = info_nce_loss(query.to(dtype), key.to(dtype), queue.detach().to(dtype))
    assert half.item() == pytest.approx(full.item(), abs=3e-2)


def test_a_zero_row_is_finite() -> None:
    query = torch.zeros(3, 4, requires_grad=True)
    info_nce_loss(query, torch.eye(3, 4), torch.eye(4)).backward()
    assert not query.grad.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.ones(4, 2), torch.ones(3, 2)), "query and key must have one shape"),
        ((torch.ones(4, 2), torch.ones(4, 2), torch.ones(4, 3)), "one width"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple[Tensor, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        info_nce_loss(*arguments)


def test_wrong_temperature_is_named() -> None:
    with pytest.raises(ValueError, match="temperature must be above 0, got -1"):
        info_nce_loss(torch.ones(2, 2), torch.ones(2, 2), temperature=-1)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_raw_products_are_those_of_the_rows_as_they_are(temperature: float) -> None:
    query, key, queue = 3 * unit(0, 7), 0.5 * unit(1, 7), unit(2, 5)
    expected = F.cross_entropy(query @ key.T / temperature, torch.arange(7))
    actual = info_nce_loss(query, key, temperature=temperature, normalise=False)
    assert actual.item() == pytest.approx(expected.item())
    positive = (query * key).sum(1, keepdim=True)
    logits = torch.cat([positive, query @ queue.T], dim=1) / temperature
    expected = F.cross_entropy(logits, torch.zeros(7, dtype=torch.int64))
    actual = info_nce_loss(query, key, queue, temperature=temperature, normalise=False)
    assert actual.item() == pytest.approx(expected.item())


def test_raw_products_have_the_gradient_of_finite_differences() -> None:
    query, key = unit(0, 5).requires_grad_(), unit(1, 5).requires_grad_()
    assert gradcheck(lambda q, k: info_nce_loss(q, k, normalise=False), (query, key))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_raw_products_are_float32_whatever_comes_in(dtype: torch.dtype) -> None:
    query, key = (10 * unit(s, 9, 64).to(dtype) for s in (0, 1))
    exact = info_nce_loss(query.float(), key.float(), normalise=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = info_nce_loss(query, key, normalise=False)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(exact.item(), abs=1e-4)
