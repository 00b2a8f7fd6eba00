"""The sigmoid loss against a dense line, and where its value is known."""

import math

import pytest
import torch
import torch.nn.functional as F

from lookalike.losses.sigmoid import sigmoid_loss
from lookalike.pairwise import similarity

LABELS = torch.tensor([4, -1, 4, 0, -1, 4, 9, 0])  # 9 is alone


def rows(seed=0, count=8, width=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def dense(z, labels, scale=10.0, bias=-10.0):
    logits = scale * F.normalize(z, dim=1) @ F.normalize(z, dim=1).T + bias
    signs = torch.where(labels[:, None] == labels, 1.0, -1.0)
    others = ~torch.eye(len(z), dtype=torch.bool)
    return -F.logsigmoid(signs * logits)[others].sum() / len(z)


@pytest.mark.parametrize("tile", [(3, 5), (512, 2048)])
@pytest.mark.parametrize("options", [{}, {"scale": 1.0, "bias": 0.5}])
def test_value_and_gradient_are_those_of_the_dense_line(options, tile, monkeypatch):
    monkeypatch.setattr(similarity, "CPU_TILE", tile)
    z = rows().requires_grad_()
    got, want = (loss(z, LABELS, **options) for loss in (sigmoid_loss, dense))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, z), torch.autograd.grad(want, z))


def test_gradient_is_that_of_finite_differences():
    z = rows(2).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: sigmoid_loss(z, LABELS, bias=-1.0), z)


def test_rows_that_say_nothing_cost_what_the_bias_says():
    """4 of each of 3 classes: 3 alike and 8 unlike for each."""
    loss = sigmoid_loss(torch.zeros(12, 5, dtype=torch.float64), torch.arange(12) % 3)
    want = 3 * (10 + math.log1p(math.exp(-10))) + 8 * math.log1p(math.exp(-10))
    assert loss.item() == pytest.approx(want)


def test_it_is_a_sum_over_pairs_so_a_batch_falls_apart_into_its_parts():
    """Nothing is normalised over the batch: two rows at a time give the whole."""
    z, total = rows(3), 0.0
    for i in range(8):
        for j in range(i):
            pair = torch.tensor([i, j])
            total = total + 2 * sigmoid_loss(z[pair], LABELS[pair])
    torch.testing.assert_close(8 * sigmoid_loss(z, LABELS), total)


def test_one_row_has_no_pair():
    z = rows(5, 1).requires_grad_()
    loss = sigmoid_loss(z, torch.tensor([3]))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, z)[0].any()


def test_equal_and_zero_rows_have_finite_gradients():
    z = rows(7)
    z[2] = z[0]
    z[1] = 0
    (gradient,) = torch.autograd.grad(sigmoid_loss(z.requires_grad_(), LABELS), z)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    z = (100 * rows(8)).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        loss = sigmoid_loss(z, LABELS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), dense(z.double(), LABELS), rtol=1e-5, atol=1e-5)


def test_torch_compile_sees_one_graph():
    z = rows()
    compiled = torch.compile(sigmoid_loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z, LABELS), sigmoid_loss(z, LABELS))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embeddings": torch.ones(4)}, "embeddings must be a matrix"),
        ({"labels": torch.ones(3)}, r"labels must have shape \(4,\), got \(3,\)"),
        ({"scale": 0.0}, "scale must be above 0, got 0.0"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        sigmoid_loss(**{"embeddings": torch.ones(4, 2), "labels": torch.arange(4), **wrong})
