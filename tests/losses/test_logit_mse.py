import pytest
import torch
from torch.nn import functional as F

from lookalike.losses.logit_mse import logit_mse_loss


def test_it_is_half_the_squared_distance_of_a_loop():
    student, teacher = [[1.0, 2.0, -3.0], [0.0, 0.5, 4.0]], [[0.0, 2.0, 1.0], [1.0, 1.0, 1.0]]
    total = sum(
        (a - b) ** 2
        for ours, theirs in zip(student, teacher, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )
    loss = logit_mse_loss(torch.tensor(student), torch.tensor(teacher))
    assert loss.item() == pytest.approx(total / 2 / 2)


def test_gradient_is_the_difference_over_n():
    student, teacher = torch.randn(2, 6, 5, dtype=torch.float64).unbind(0)
    (got,) = torch.autograd.grad(logit_mse_loss(student.requires_grad_(), teacher), student)
    torch.testing.assert_close(got, (student.detach() - teacher) / 6)


def test_the_mean_over_all_elements_is_2_over_c_of_it():
    student, teacher = torch.randn(2, 6, 5, dtype=torch.float64).unbind(0)
    want = F.mse_loss(student, teacher)
    torch.testing.assert_close(2 / 5 * logit_mse_loss(student, teacher), want)


def test_only_logits_will_do():
    with pytest.raises(ValueError, match="student_logits must be a matrix"):
        logit_mse_loss(torch.ones(2, 3, 4, 4), torch.ones(2, 3, 4, 4))
