"""S1 to S3 and B5 of the property catalogue."""

import pytest
import torch
from torch.nn import functional as F

from lookalike.losses.negative_cosine import negative_cosine_loss


def two(count=6, width=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, count, width, generator=generator, dtype=dtype).unbind(0)


def test_it_is_what_torch_calls_cosine_similarity():
    p, z = two()
    torch.testing.assert_close(negative_cosine_loss(p, z), -F.cosine_similarity(p, z).mean())


def test_range():
    eye = torch.eye(4)
    assert float(negative_cosine_loss(eye, eye)) == -1
    assert float(negative_cosine_loss(eye, eye.roll(1, 0))) == 0
    assert float(negative_cosine_loss(eye, -eye)) == 1


def test_two_plus_twice_it_is_the_squared_distance_of_unit_vectors():
    p, z = two()
    distance = (F.normalize(p, dim=1) - F.normalize(z, dim=1)).square().sum(1).mean()
    torch.testing.assert_close(2 + 2 * negative_cosine_loss(p, z), distance)


def test_lengths_do_not_matter():
    p, z = two()
    scale = torch.rand(6, 1, dtype=torch.float64) + 0.1
    torch.testing.assert_close(
        negative_cosine_loss(scale * p, z / scale), negative_cosine_loss(p, z)
    )


def test_gradients():
    p, z = (rows.requires_grad_() for rows in two())
    assert torch.autograd.gradcheck(negative_cosine_loss, (p, z))


def test_without_a_predictor_a_stopped_gradient_is_half_of_the_whole():
    """S2: the symmetric loss with and without stop-gradient points the same way: both collapse."""
    first, second = (rows.requires_grad_() for rows in two())
    symmetric = negative_cosine_loss(first, second.detach()) / 2
    symmetric = symmetric + negative_cosine_loss(second, first.detach()) / 2
    stopped = torch.autograd.grad(symmetric, (first, second))
    whole = torch.autograd.grad(negative_cosine_loss(first, second), (first, second))
    for half, full in zip(stopped, whole, strict=True):
        torch.testing.assert_close(half, full / 2)


def test_bfloat16_is_compared_in_float32():
    p, z = (rows.bfloat16() for rows in two(dtype=torch.float32))
    loss = negative_cosine_loss(p, z)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, negative_cosine_loss(p.float(), z.float()))


@pytest.mark.parametrize(
    "wrong", [(torch.ones(3, 2), torch.ones(2, 3)), (torch.ones(3), torch.ones(3))]
)
def test_shapes_that_do_not_match_are_refused(wrong):
    with pytest.raises(ValueError, match="prediction"):
        negative_cosine_loss(*wrong)
