"""Cross entropy against probabilities, beside a slow loop and PyTorch's with labels."""

import math

import pytest
import torch
import torch.nn.functional as F

from lookalike.losses.soft_cross_entropy import soft_cross_entropy_loss


def a_case(dtype=torch.float64):
    torch.manual_seed(0)
    return torch.randn(5, 3, dtype=dtype), torch.rand(5, 3, dtype=dtype).softmax(1)


def test_it_is_the_slow_loop():
    logits, targets = a_case()
    total = 0.0
    for row, wanted in zip(logits.tolist(), targets.tolist(), strict=True):
        norm = math.log(sum(math.exp(value) for value in row))
        total -= sum(share * (value - norm) for value, share in zip(row, wanted, strict=True))
    assert math.isclose(soft_cross_entropy_loss(logits, targets).item(), total / 5)


def test_with_sure_targets_it_is_pytorchs_and_empty_rows_count_in_the_mean():
    logits, _ = a_case()
    labels = torch.tensor([0, 2, 1, -1, -1])
    sure = F.one_hot(labels.clamp(min=0), 3) * (labels >= 0).unsqueeze(1)
    known = F.cross_entropy(logits[:3], labels[:3]) * 3 / 5
    torch.testing.assert_close(soft_cross_entropy_loss(logits, sure.double()), known)


def test_the_gradient_is_right_and_half_precision_is_worked_in_float32():
    logits, targets = a_case()
    assert torch.autograd.gradcheck(soft_cross_entropy_loss, (logits.requires_grad_(), targets))
    half = soft_cross_entropy_loss(100 * logits.detach().half(), targets.half())
    assert half.dtype == torch.float32
    assert bool(half.isfinite())


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((0, 3), (0, 3))])
def test_what_cannot_be_is_refused(shapes):
    with pytest.raises(ValueError, match=r"targets|rows"):
        soft_cross_entropy_loss(*map(torch.rand, shapes))
