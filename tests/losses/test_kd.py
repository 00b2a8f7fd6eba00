"""KD against a loop, its gradient, its limits and cross entropy."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.kd import kd_loss
from lookalike.losses.logit_mse import logit_mse_loss


def logits(seed=0, rows=6, classes=5):
    generator = torch.Generator().manual_seed(seed)
    both = 3 * torch.randn(2, rows, classes, dtype=torch.float64, generator=generator)
    return both.unbind(0)


def slow(student, teacher, temperature):
    total = 0.0
    for ours, theirs in zip(student.tolist(), teacher.tolist(), strict=True):
        q, p = ([math.exp(z / temperature) for z in row] for row in (ours, theirs))
        total += sum(
            a / sum(p) * math.log((a / sum(p)) / (b / sum(q))) for a, b in zip(p, q, strict=True)
        )
    return temperature**2 * total / len(student)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_value_is_that_of_the_loop(temperature):
    student, teacher = logits()
    got = kd_loss(student, teacher, temperature=temperature)
    assert got.item() == pytest.approx(slow(student, teacher, temperature))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_gradient_is_the_difference_of_the_softmaxes_times_t_over_n(temperature):
    student, teacher = logits(1)
    student.requires_grad_()
    (got,) = torch.autograd.grad(kd_loss(student, teacher, temperature=temperature), student)
    q, p = ((each.detach() / temperature).softmax(1) for each in (student, teacher))
    torch.testing.assert_close(got, temperature * (q - p) / 6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_a_teacher_that_learns_gets_the_gradient_of_the_divergence_and_no_other(temperature):
    student, teacher = (each.requires_grad_() for each in logits(1))
    loss = kd_loss(student, teacher, temperature=temperature, stop_gradient=False)
    ours, theirs = torch.autograd.grad(loss, (student, teacher))
    (alone,) = torch.autograd.grad(kd_loss(student, teacher, temperature=temperature), student)
    torch.testing.assert_close(ours, alone)
    log_q, log_p = ((each.detach() / temperature).log_softmax(1) for each in (student, teacher))
    p, apart = log_p.exp(), log_p - log_q
    known = temperature * p * (apart - (p * apart).sum(1, keepdim=True)) / 6
    torch.testing.assert_close(theirs, known)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_it_is_soft_label_cross_entropy_less_the_teachers_entropy(temperature):
    student, teacher = logits(2)
    p = (teacher / temperature).softmax(1)
    cross = F.cross_entropy(student / temperature, p)
    want = temperature**2 * (cross - torch.distributions.Categorical(p).entropy().mean())
    torch.testing.assert_close(kd_loss(student, teacher, temperature=temperature), want)


def test_a_teacher_that_is_sure_is_a_label():
    student, _ = logits(3)
    labels = torch.tensor([0, 1, 4, 4, 2, 0])
    teacher = 1000.0 * F.one_hot(labels, 5).double()
    got = kd_loss(student.requires_grad_(), teacher, temperature=1.0)
    want = F.cross_entropy(student, labels)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(
        torch.autograd.grad(got, student), torch.autograd.grad(want, student)
    )


def test_at_high_temperature_it_regresses_centred_logits():
    """1 / (2 C) times the squared distance; what is left falls as 1 / T."""
    student, teacher = (each - each.mean(1, keepdim=True) for each in logits(4))
    want = logit_mse_loss(student, teacher).item() / 5
    loss = {t: kd_loss(student, teacher, temperature=t).item() for t in (1e3, 2e3, 8e3)}
    left = {t: abs(value - want) for t, value in loss.items()}
    assert left[1e3] < 1e-2 * want
    assert left[1e3] / left[2e3] == pytest.approx(2, rel=0.05)
    assert left[1e3] / left[8e3] == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_logits_and_temperature_scaled_alike_leave_the_divergence(temperature):
    """It is T^2 times a function of logits / T."""
    student, teacher = logits(5)
    got = kd_loss(3 * student, 3 * teacher, temperature=3 * temperature)
    torch.testing.assert_close(got, 9 * kd_loss(student, teacher, temperature=temperature))


@given(seed=st.integers(0, 2**31), shift=st.floats(-50, 50))
def test_it_is_not_negative_and_a_number_added_to_a_row_changes_nothing(seed, shift):
    student, teacher = logits(seed)
    loss = kd_loss(student, teacher)
    assert loss.item() > 0
    moved = student + shift * torch.arange(6)[:, None]
    torch.testing.assert_close(kd_loss(moved, teacher), loss, rtol=1e-9, atol=1e-12)
    assert kd_loss(teacher + shift, teacher).item() == pytest.approx(0, abs=1e-12)


def test_it_is_the_teacher_whose_classes_weigh():
    """KL is not symmetric: what the teacher thinks impossible costs a student nothing more."""
    sure = torch.tensor([[0.0, 0.0, -1e4]])
    blind = torch.zeros(1, 3)
    assert kd_loss(blind, sure, temperature=1.0).item() == pytest.approx(math.log(3 / 2))
    assert kd_loss(sure, blind, temperature=1.0).item() > 1000


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_nonsense_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be above 0"):
        kd_loss(*logits(), temperature=temperature)


def test_standardised_it_is_the_loss_of_what_torch_standardises():
    student, teacher = logits(3)
    both = [(z - z.mean(1, keepdim=True)) / z.std(1, keepdim=True) for z in (student, teacher)]
    got = kd_loss(student, teacher, temperature=2.0, standardise=True)
    torch.testing.assert_close(got, kd_loss(*both, temperature=2.0), rtol=1e-6, atol=0)
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: kd_loss(z, teacher, standardise=True), student)


def test_standardised_neither_scale_nor_shift_of_a_row_matters():
    student, teacher = logits(4)
    scale = torch.tensor([[0.2], [1.0], [3.0], [10.0], [0.5], [7.0]], dtype=torch.float64)
    want = kd_loss(student, teacher, standardise=True)
    got = kd_loss(scale * student - 4, teacher / scale + 1, standardise=True)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=0)
    same = kd_loss(scale * teacher + 2, teacher, standardise=True)
    assert abs(same.item()) < 1e-12
    assert kd_loss(scale * teacher + 2, teacher).item() > 0.01


def test_one_class_has_nothing_to_standardise():
    with pytest.raises(ValueError, match="classes must be at least 2, got 1"):
        kd_loss(torch.ones(3, 1), torch.ones(3, 1), standardise=True)
