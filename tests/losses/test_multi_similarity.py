"""Multi-similarity against a loop over pairs, and where its value is known."""

import math

import pytest
import torch
import torch.nn.functional as F

from lookalike.losses.multi_similarity import multi_similarity_loss
from lookalike.pairwise import distances

LABELS = torch.tensor([4, -1, 4, 0, -1, 4, 9, 0])  # 9 is alone


def rows(seed=0, count=8, width=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def slow(z, labels, alpha=2.0, beta=50.0, threshold=0.5, epsilon=0.1):
    """Equations 10, 11 and 15, anchor by anchor."""
    s = F.normalize(z, dim=1) @ F.normalize(z, dim=1).T
    total = 0.0
    for i in range(len(z)):
        positives = [s[i, j] for j in range(len(z)) if j != i and labels[j] == labels[i]]
        negatives = [s[i, j] for j in range(len(z)) if labels[j] != labels[i]]
        if positives and negatives:
            near, far = max(negatives), min(positives)
            kept = [p for p in positives if p < near + epsilon]
            total = (
                total + (1 + sum((-alpha * (p - threshold)).exp() for p in kept)).log() / alpha
                if kept
                else total
            )
            kept = [n for n in negatives if n > far - epsilon]
            total = (
                total + (1 + sum((beta * (n - threshold)).exp() for n in kept)).log() / beta
                if kept
                else total
            )
    return total / len(z)


@pytest.mark.parametrize("tile", [12, 2**18])
@pytest.mark.parametrize(
    "options", [{}, {"epsilon": 0.0}, {"epsilon": 3.0}, {"alpha": 1.0, "beta": 4.0}]
)
def test_value_and_gradient_are_those_of_the_loop(options, tile, monkeypatch):
    monkeypatch.setattr(distances, "CPU_TILE", tile)
    z = rows().requires_grad_()
    got, want = (loss(z, LABELS, **options) for loss in (multi_similarity_loss, slow))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, z), torch.autograd.grad(want, z))


@pytest.mark.parametrize("epsilon", [0.1, math.inf])
def test_gradient_is_that_of_finite_differences(epsilon):
    z = rows(2).requires_grad_()
    options = {"epsilon": epsilon, "beta": 5.0}
    assert torch.autograd.gradcheck(lambda z: multi_similarity_loss(z, LABELS, **options), z)


def test_classes_that_are_points_at_right_angles():
    """Without mining: P positives at cosine 1, Q negatives at 0."""
    z = torch.eye(4, dtype=torch.float64).repeat(3, 1)
    loss = multi_similarity_loss(z, torch.arange(12) % 4, epsilon=math.inf)
    want = 0.5 * math.log1p(2 * math.exp(-1)) + 0.02 * math.log1p(9 * math.exp(-25))
    assert loss.item() == pytest.approx(want)
    assert want == pytest.approx(0.2757, abs=1e-4)


def test_easy_pairs_are_not_mined():
    z = torch.eye(4, dtype=torch.float64).repeat(3, 1).requires_grad_()
    loss = multi_similarity_loss(z, torch.arange(12) % 4)
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, z)[0].any()


@pytest.mark.parametrize("labels", [[0], [0, 1, 2, 3], [5, 5, 5]], ids=["N=1", "alone", "one"])
def test_batches_without_both_kinds_of_pairs_are_zero(labels):
    z = rows(5, len(labels)).requires_grad_()
    loss = multi_similarity_loss(z, torch.tensor(labels))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, z)[0].any()


def test_order_rotation_and_lengths_do_not_matter():
    z, order = rows(3), torch.randperm(8)
    want = multi_similarity_loss(z, LABELS)
    turn = torch.linalg.qr(rows(4, 4))[0]
    lengths = torch.linspace(0.1, 9, 8, dtype=torch.float64)[:, None]
    torch.testing.assert_close(multi_similarity_loss(z[order], LABELS[order]), want)
    torch.testing.assert_close(multi_similarity_loss(z @ turn * lengths, LABELS), want)


def test_equal_and_zero_rows_have_finite_gradients():
    z = rows(7)
    z[2] = z[0]
    z[1] = 0
    (gradient,) = torch.autograd.grad(multi_similarity_loss(z.requires_grad_(), LABELS), z)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    z = (100 * rows(8)).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        loss = multi_similarity_loss(z, LABELS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), slow(z.double(), LABELS), rtol=1e-4, atol=1e-5)


def test_torch_compile_sees_one_graph():
    z = rows()
    compiled = torch.compile(multi_similarity_loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z, LABELS), multi_similarity_loss(z, LABELS))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embeddings": torch.ones(4)}, "embeddings must be a matrix"),
        ({"labels": torch.ones(3)}, r"labels must have shape \(4,\), got \(3,\)"),
        ({"alpha": 0.0}, "alpha must be above 0, got 0.0"),
        ({"epsilon": -1.0}, "epsilon must be at least 0, got -1.0"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        multi_similarity_loss(
            **{"embeddings": torch.ones(4, 2), "labels": torch.arange(4), **wrong}
        )
