"""DKD against a loop in plain probabilities, and against KD."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.dkd import dkd_loss
from lookalike.losses.kd import kd_loss

LABELS = torch.tensor([0, 4, 2, 2, 1, 3])


def logits(seed=0, rows=6, classes=5):
    generator = torch.Generator().manual_seed(seed)
    both = 2 * torch.randn(2, rows, classes, dtype=torch.float64, generator=generator)
    return both.unbind(0)


def parts(student, teacher, label, temperature):
    """Return TCKD and NCKD of one image by their definitions."""
    shares = []
    for row in (teacher, student):
        masses = [math.exp(z / temperature) for z in row]
        p = masses[label] / sum(masses)
        rest = [mass / (sum(masses) - masses[label]) for mass in masses]
        del rest[label]
        shares.append(([p, 1 - p], rest))
    return [
        sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        for p, q in zip(*shares, strict=True)
    ]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 8.0), (1.0, 0.0), (0.0, 1.0), (0.5, 2.0)])
def test_value_is_that_of_the_loop(alpha, beta, temperature):
    student, teacher = logits()
    rows = zip(student.tolist(), teacher.tolist(), LABELS.tolist(), strict=True)
    both = [parts(*row, temperature) for row in rows]
    want = sum(alpha * target + beta * other for target, other in both) / 6
    options = {"alpha": alpha, "beta": beta, "temperature": temperature}
    got = dkd_loss(student, teacher, LABELS, **options)
    assert got.item() == pytest.approx(temperature**2 * want)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_with_beta_1_less_the_teachers_p_it_is_kd(temperature):
    """KL = TCKD + (1 - p) NCKD, image by image."""
    student, teacher = logits(1)
    p = (teacher / temperature).softmax(1).gather(1, LABELS[:, None])
    for i in range(6):
        row = student[[i]].requires_grad_(), teacher[[i]]
        got = dkd_loss(*row, LABELS[[i]], beta=1 - p[i].item(), temperature=temperature)
        want = kd_loss(*row, temperature=temperature)
        torch.testing.assert_close(got, want)
        torch.testing.assert_close(
            torch.autograd.grad(got, row[0]), torch.autograd.grad(want, row[0])
        )


@given(seed=st.integers(0, 2**31), shift=st.floats(-20, 20))
def test_what_a_student_thinks_of_the_true_class_is_nothing_to_the_others(seed, shift):
    student, teacher = logits(seed)
    moved = student.scatter_add(1, LABELS[:, None], torch.full((6, 1), shift).double())
    only = {"alpha": 0.0, "beta": 1.0}
    got, want = (dkd_loss(each, teacher, LABELS, **only) for each in (moved, student))
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)
    assert want.item() > 0


@given(seed=st.integers(0, 2**31))
def test_how_a_student_ranks_the_others_is_nothing_to_the_true_class(seed):
    """Logits of other classes in another order have the same log-sum-exp."""
    student, teacher = logits(seed)
    labels = torch.zeros(6, dtype=torch.int64)
    only = {"alpha": 1.0, "beta": 0.0}
    got = dkd_loss(student[:, [0, 4, 3, 2, 1]], teacher, labels, **only)
    torch.testing.assert_close(got, dkd_loss(student, teacher, labels, **only))


def test_a_teacher_that_is_sure_still_tells_of_the_others():
    """Where 1 - p rounds to 0 the others' shares are exact, and KD has nothing left of them."""
    teacher = torch.tensor([[200.0, 1.0, 0.0, -1.0]])
    student = torch.tensor([[200.0, 0.0, 0.0, 0.0]], requires_grad=True)
    label = torch.tensor([0])
    loss = dkd_loss(student, teacher, label, temperature=1.0)
    others = kd_loss(student[:, 1:], teacher[:, 1:], temperature=1.0)
    torch.testing.assert_close(loss, 8 * others)
    assert kd_loss(student, teacher, temperature=1.0).item() == 0
    assert torch.autograd.grad(loss, student)[0][0, 1:].abs().min() > 0.1


def test_log_odds_are_exact_where_the_probability_is_1():
    """TCKD of p = 1 against log-odds of -a is log(1 + e^a), which is a in float32."""
    teacher, student = torch.tensor([[300.0, 0, 0]]), torch.tensor([[-100.0, 0, 0]])
    loss = dkd_loss(student, teacher, torch.tensor([0]), beta=0.0, temperature=1.0)
    assert loss.item() == pytest.approx(100 + math.log(2))


def test_two_classes_are_refused():
    """The one other class has probability 1 among the others, whatever anybody thinks."""
    with pytest.raises(ValueError, match="classes must be at least 3, got 2"):
        dkd_loss(torch.ones(4, 2), torch.ones(4, 2), torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"labels": LABELS[:5]}, r"labels must have shape \(6,\), got \(5,\)"),
        ({"alpha": -1.0}, "alpha must be at least 0"),
        ({"beta": -1.0}, "beta must be at least 0"),
        ({"temperature": 0.0}, "temperature must be above 0"),
    ],
)
def test_nonsense_is_refused(wrong, message):
    student, teacher = logits()
    given = {"student_logits": student, "teacher_logits": teacher, "labels": LABELS}
    with pytest.raises(ValueError, match=message):
        dkd_loss(**{**given, **wrong})


def test_standardised_it_is_the_loss_of_what_torch_standardises():
    student, teacher = logits(3)
    both = [(z - z.mean(1, keepdim=True)) / z.std(1, keepdim=True) for z in (student, teacher)]
    got = dkd_loss(student, teacher, LABELS, temperature=2.0, standardise=True)
    torch.testing.assert_close(got, dkd_loss(*both, LABELS, temperature=2.0), rtol=1e-6, atol=0)
    same = dkd_loss(3 * teacher + 2, teacher, LABELS, standardise=True)
    assert abs(same.item()) < 1e-11
    student.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: dkd_loss(z, teacher, LABELS, standardise=True, beta=1.0), student
    )
