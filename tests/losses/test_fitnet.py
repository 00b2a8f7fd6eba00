import pytest
import torch

from lookalike.losses.fitnet import fitnet_loss


def maps(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, *shape, dtype=torch.float64, generator=generator).unbind(0)


@pytest.mark.parametrize("shape", [(5, 4), (5, 3, 4, 2), (5, 7, 3)])
def test_it_is_half_the_squared_distance_of_a_loop(shape):
    student, teacher = maps(*shape)
    total = 0.0
    for ours, theirs in zip(student.flatten().tolist(), teacher.flatten().tolist(), strict=True):
        total += (ours - theirs) ** 2
    assert fitnet_loss(student, teacher).item() == pytest.approx(total / 2 / 5)


def test_gradient_is_the_difference_over_n():
    student, teacher = maps(5, 3, 4, 2)
    (got,) = torch.autograd.grad(fitnet_loss(student.requires_grad_(), teacher), student)
    torch.testing.assert_close(got, (student.detach() - teacher) / 5)


def test_of_unit_vectors_it_is_1_less_the_cosine():
    student, teacher = (each / each.norm(dim=1, keepdim=True) for each in maps(5, 8))
    want = 1 - (student * teacher).sum(1).mean()
    torch.testing.assert_close(fitnet_loss(student, teacher), want)


def test_an_adapter_learns_by_least_squares():
    """With a linear adapter the gradient is 0 where the normal equations hold, and not beside."""
    student, _ = maps(30, 4)
    teacher = maps(30, 6, seed=1)[0]
    best = torch.linalg.lstsq(student, teacher).solution.requires_grad_()
    (slope,) = torch.autograd.grad(fitnet_loss(student @ best, teacher), best)
    assert slope.abs().max() < 1e-12
    other = (best.detach() + 0.1).requires_grad_()
    (slope,) = torch.autograd.grad(fitnet_loss(student @ other, teacher), other)
    assert slope.abs().max() > 1e-3


def test_maps_of_another_size_are_refused_and_both_are_named():
    with pytest.raises(ValueError, match=r"must have one shape.*\(2, 3, 4, 4\).*\(2, 3, 8, 8\)"):
        fitnet_loss(torch.ones(2, 3, 4, 4), torch.ones(2, 3, 8, 8))
