"""Circle loss against a dense line, whose weights may be held, and where its value is known."""

import math

import pytest
import torch
import torch.nn.functional as F

from lookalike.losses.circle import circle_loss
from lookalike.pairwise import distances

LABELS = torch.tensor([4, -1, 4, 0, -1, 4, 9, 0])  # 9 is alone


def rows(seed=0, count=8, width=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def dense(z, labels, margin=0.4, scale=80.0, weights_of=None):
    """Equation 6, with the weights of equation 5 of other embeddings where such are given."""
    s = F.normalize(z, dim=1) @ F.normalize(z, dim=1).T
    fixed = F.normalize(z if weights_of is None else weights_of, dim=1).detach()
    fixed = fixed @ fixed.T
    same, own = labels[:, None] == labels, torch.eye(len(z), dtype=torch.bool)
    n = (scale * (fixed + margin).relu() * (s - margin)).masked_fill(same, -math.inf)
    p = -scale * (1 + margin - fixed).relu() * (s - 1 + margin)
    p = p.masked_fill(~same | own, -math.inf)
    both = (same & ~own).any(1) & (~same).any(1)
    return F.softplus(n[both].logsumexp(1) + p[both].logsumexp(1)).mean()


@pytest.mark.parametrize("tile", [12, 2**18])
@pytest.mark.parametrize("options", [{}, {"margin": 0.25, "scale": 256.0}, {"scale": 2.0}])
def test_value_and_gradient_are_those_of_the_dense_line(options, tile, monkeypatch):
    monkeypatch.setattr(distances, "CPU_TILE", tile)
    z = rows().requires_grad_()
    got, want = (loss(z, LABELS, **options) for loss in (circle_loss, dense))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, z), torch.autograd.grad(want, z))


def test_gradient_is_that_of_finite_differences_with_weights_held():
    z = rows(2).requires_grad_()
    held = z.detach().clone()
    assert torch.autograd.gradcheck(
        lambda z: dense(z, LABELS, scale=2.0, weights_of=held), z
    )  # which the test above says is that of the loss


def test_classes_that_are_points_at_right_angles():
    """P positives at cosine 1, Q negatives at 0: log(1 + P Q exp(-2 scale m^2))."""
    z = torch.eye(4, dtype=torch.float64).repeat(3, 1)
    loss = circle_loss(z, torch.arange(12) % 4, margin=0.25, scale=8.0)
    assert loss.item() == pytest.approx(math.log1p(2 * 9 * math.exp(-2 * 8 * 0.25**2)))
    assert loss.item() == pytest.approx(2.0310, abs=1e-4)


@pytest.mark.parametrize("labels", [[0], [0, 1, 2, 3], [5, 5, 5]], ids=["N=1", "alone", "one"])
def test_batches_without_both_kinds_of_pairs_are_zero(labels):
    z = rows(5, len(labels)).requires_grad_()
    loss = circle_loss(z, torch.tensor(labels))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, z)[0].any()


def test_a_row_that_is_alone_adds_no_term_but_is_a_negative():
    z, labels = rows(6, 5).requires_grad_(), torch.tensor([0, 0, 1, 1, 2])
    assert circle_loss(z, labels).item() > circle_loss(z[:4], labels[:4]).item()
    assert torch.autograd.grad(circle_loss(z, labels), z)[0][4].any()


def test_order_rotation_and_lengths_do_not_matter():
    z, order = rows(3), torch.randperm(8)
    want = circle_loss(z, LABELS)
    turn = torch.linalg.qr(rows(4, 4))[0]
    lengths = torch.linspace(0.1, 9, 8, dtype=torch.float64)[:, None]
    torch.testing.assert_close(circle_loss(z[order], LABELS[order]), want)
    torch.testing.assert_close(circle_loss(z @ turn * lengths, LABELS), want)


def test_equal_and_zero_rows_have_finite_gradients():
    z = rows(7)
    z[2] = z[0]
    z[1] = 0
    (gradient,) = torch.autograd.grad(circle_loss(z.requires_grad_(), LABELS), z)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    z = (100 * rows(8)).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        loss = circle_loss(z, LABELS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), dense(z.double(), LABELS), rtol=1e-4, atol=1e-5)


def test_torch_compile_sees_one_graph():
    z = rows()
    compiled = torch.compile(circle_loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z, LABELS), circle_loss(z, LABELS))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embeddings": torch.ones(4)}, "embeddings must be a matrix"),
        ({"labels": torch.ones(3)}, r"labels must have shape \(4,\), got \(3,\)"),
        ({"margin": 2.0}, r"margin must be in \[0, 1\], got 2.0"),
        ({"scale": 0.0}, "scale must be above 0, got 0.0"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        circle_loss(**{"embeddings": torch.ones(4, 2), "labels": torch.arange(4), **wrong})
