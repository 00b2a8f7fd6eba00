import pytest
import torch

from lookalike.losses._teacher import prepare, standardised


@pytest.mark.parametrize(
    ("one", "other", "want"),
    [
        (torch.float16, torch.bfloat16, torch.float32),
        (torch.float32, torch.float64, torch.float64),
        (torch.float64, torch.float16, torch.float64),
    ],
)
def test_both_come_in_the_higher_precision_and_float32_at_least(one, other, want):
    student, teacher = prepare(torch.ones(2, 3, dtype=one), torch.ones(2, 3, dtype=other))
    assert student.dtype == teacher.dtype == want


def test_the_teacher_alone_is_cut_off():
    student, teacher = prepare(*(torch.ones(2, requires_grad=True) for _ in range(2)))
    assert student.requires_grad
    assert not teacher.requires_grad


def test_a_mean_over_nothing_is_refused():
    with pytest.raises(ValueError, match="rows must be at least 1, got 0"):
        prepare(torch.ones(0, 3), torch.ones(0, 3))


def test_standardised_rows_have_mean_0_and_variance_1():
    rows = standardised(3 + 7 * torch.randn(6, 5, dtype=torch.float64))
    torch.testing.assert_close(rows.mean(1), torch.zeros(6, dtype=torch.float64))
    torch.testing.assert_close(rows.var(1), torch.ones(6, dtype=torch.float64), rtol=1e-6, atol=0)


def test_of_two_classes_it_tells_the_sign_alone():
    rows = standardised(torch.tensor([[1.0, 9.0], [3.0, 2.0]]))
    half = 0.5**0.5
    torch.testing.assert_close(rows, torch.tensor([[-half, half], [half, -half]]))


def test_equal_logits_are_0_with_a_finite_gradient():
    rows = torch.full((2, 4), 5.0, requires_grad=True)
    got = standardised(rows)
    assert not got.any()
    got[:, 0].sum().backward()
    assert bool(rows.grad.isfinite().all())
