import pytest
import torch

from lookalike.losses._teacher import prepare


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
