"""What every loss of distillation keeps, whatever it compares."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor

from lookalike import registry
from lookalike.errors import UsageError
from lookalike.losses.attention_transfer import attention_transfer_loss
from lookalike.losses.dist import dist_loss
from lookalike.losses.dkd import dkd_loss
from lookalike.losses.fitnet import fitnet_loss
from lookalike.losses.kd import kd_loss
from lookalike.losses.logit_mse import logit_mse_loss
from lookalike.losses.nst import nst_loss
from lookalike.losses.vid import vid_loss

LABELS = torch.tensor([0, 4, 2, 2, 1, 3])
LOG_VARIANCE = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
LOGITS, MAPS = (6, 5), (6, 3, 4, 2)
CASES = {
    "kd": (kd_loss, LOGITS, ()),
    "logit_mse": (logit_mse_loss, LOGITS, ()),
    "dkd": (dkd_loss, LOGITS, (LABELS,)),
    "dist": (dist_loss, LOGITS, ()),
    "fitnet": (fitnet_loss, MAPS, ()),
    "attention_transfer": (attention_transfer_loss, MAPS, ()),
    "nst": (nst_loss, MAPS, ()),
    "vid": (vid_loss, MAPS, (LOG_VARIANCE,)),
}
EVERY = pytest.mark.parametrize("name", CASES)


def two(name: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return what a student and its teacher say."""
    generator = torch.Generator().manual_seed(seed)
    _, shape, _ = CASES[name]
    return torch.randn(2, *shape, dtype=torch.float64, generator=generator).unbind(0)


def others(name: str, rows: Tensor | None = None) -> tuple[Tensor, ...]:
    """Return the loss's further arguments, labels for these rows."""
    given = CASES[name][2]
    return tuple(each[rows] if each is LABELS and rows is not None else each for each in given)


@EVERY
def test_gradient_of_the_student_is_that_of_finite_differences(name):
    (loss, _, _), (student, teacher) = CASES[name], two(name)
    assert torch.autograd.gradcheck(
        lambda student: loss(student, teacher, *others(name)), student.requires_grad_()
    )


@EVERY
def test_the_teacher_gets_no_gradient(name):
    (loss, _, _), (student, teacher) = CASES[name], two(name)
    value = loss(student.requires_grad_(), teacher.requires_grad_(), *others(name))
    ours, theirs = torch.autograd.grad(value, (student, teacher), allow_unused=True)
    assert ours.any()
    assert theirs is None


@EVERY
def test_the_order_of_images_does_not_matter(name):
    (loss, _, _), (student, teacher) = CASES[name], two(name)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    got = loss(student[order], teacher[order], *others(name, order))
    torch.testing.assert_close(got, loss(student, teacher, *others(name)))


@EVERY
def test_it_is_a_mean_over_images_so_that_a_weight_holds_for_any_batch(name):
    """A batch that comes twice has the loss, and each of its rows half of the gradient."""
    (loss, _, _), (student, teacher) = CASES[name], two(name)
    twice = torch.arange(6).repeat(2)
    many = student[twice].requires_grad_()
    one = student.requires_grad_()
    got, want = (
        loss(many, teacher[twice], *others(name, twice)),
        loss(one, teacher, *others(name)),
    )
    torch.testing.assert_close(got, want)
    (halves,), (whole,) = torch.autograd.grad(got, many), torch.autograd.grad(want, one)
    torch.testing.assert_close(halves[:6], whole / 2)


@pytest.mark.parametrize("name", [name for name in CASES if name != "dist"])
def test_it_is_the_mean_of_the_images_by_themselves(name):
    """DIST alone relates the images of a batch to each other."""
    (loss, _, _), (student, teacher) = CASES[name], two(name)
    alone = [loss(student[[i]], teacher[[i]], *others(name, torch.tensor([i]))) for i in range(6)]
    torch.testing.assert_close(loss(student, teacher, *others(name)), torch.stack(alone).mean())


@pytest.mark.parametrize("name", [name for name in CASES if name != "vid"])
def test_it_is_0_where_the_student_says_what_the_teacher_says(name):
    """What is left of VID there is the log of its variance."""
    (loss, _, _), (student, _) = CASES[name], two(name)
    student.requires_grad_()
    value = loss(student, student.detach(), *others(name))
    assert abs(value.item()) < 1e-14
    assert torch.autograd.grad(value, student)[0].abs().max() < 1e-7  # of a square root, at worst


@EVERY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(name, dtype):
    """To what float32 makes of the same numbers, under autocast too."""
    loss, _, _ = CASES[name]
    student, teacher = (each.to(dtype) for each in two(name))
    half = student.requires_grad_()
    full = student.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        got = loss(half, teacher, *others(name))
    want = loss(full, teacher.float(), *others(name))
    assert got.dtype == want.dtype == torch.float32
    torch.testing.assert_close(got, want, rtol=0, atol=0)
    (ours,), (theirs,) = torch.autograd.grad(got, half), torch.autograd.grad(want, full)
    torch.testing.assert_close(ours, theirs.to(dtype), rtol=1e-2, atol=1e-6)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_what_is_far_apart_and_sure_stays_finite(name, dtype):
    """Every value is 100 or -100; and with the options' defaults, at temperature 1 too."""
    loss, _, _ = CASES[name]
    student, teacher = (100 * each.sign() for each in two(name, seed=1))
    student = student.to(dtype).requires_grad_()
    for options in ({}, {"temperature": 1.0}):
        if set(options) <= set(inspect.signature(loss).parameters):
            value = loss(student, teacher.to(dtype), *others(name), **options)
            assert bool(value.isfinite())
            assert bool(torch.autograd.grad(value, student)[0].isfinite().all())


@EVERY
def test_a_student_in_half_precision_may_have_a_teacher_in_full(name):
    (loss, _, _), (student, teacher) = CASES[name], two(name)
    value = loss(student.bfloat16(), teacher.float(), *others(name))
    assert value.dtype == torch.float32
    want = loss(student.bfloat16().float(), teacher.float(), *others(name))
    assert value.equal(want)


@EVERY
def test_torch_compile_sees_one_graph(name):
    (loss, _, _), (student, teacher) = CASES[name], two(name)
    student.requires_grad_()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    got, want = (each(student, teacher, *others(name)) for each in (compiled, loss))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(
        torch.autograd.grad(got, student), torch.autograd.grad(want, student)
    )


@EVERY
def test_arguments_are_left_as_they_were(name):
    (loss, _, _), (student, teacher) = CASES[name], two(name)
    before = [each.clone() for each in (student, teacher, *others(name))]
    loss(student.requires_grad_(), teacher, *others(name)).backward()
    after = (student, teacher, *others(name))
    assert all(a.equal(b) for a, b in zip(after, before, strict=True))


@EVERY
def test_unlike_shapes_are_refused_and_both_are_named(name):
    (loss, shape, _), (student, teacher) = CASES[name], two(name)
    names = list(inspect.signature(loss).parameters)[:2]
    with pytest.raises(ValueError, match=" and ".join(names)) as refused:
        loss(student, teacher[:5], *others(name))
    assert str(shape) in str(refused.value)
    assert str((5, *shape[1:])) in str(refused.value)


@EVERY
def test_a_batch_without_images_is_refused(name):
    (loss, _, _), (student, teacher) = CASES[name], two(name)
    with pytest.raises(ValueError, match="rows must be at least"):
        loss(student[:0], teacher[:0], *others(name, torch.arange(0)))


@EVERY
def test_it_is_no_loss_of_labelled_images(name):
    """`--loss` offers what takes embeddings and labels; a teacher is no option."""
    with pytest.raises(UsageError, match="is no loss of labelled images"):
        registry.locate("losses", name)
