"""Regression against least squares, cosines and torch's mean squared error."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.embedding_regression import embedding_regression_loss


def points(seed=0, count=8, width=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def test_directions_are_two_less_two_cosines():
    student, teacher = points(0), points(1)
    want = 2 - 2 * F.cosine_similarity(student, teacher).mean()
    torch.testing.assert_close(embedding_regression_loss(student, teacher), want)


def test_without_it_is_torchs_mean_squared_error_over_rows_alone():
    student, teacher = points(0), points(1)
    want = 4 * F.mse_loss(student, teacher)
    got = embedding_regression_loss(student, teacher, normalise=False)
    torch.testing.assert_close(got, want)
    on_sphere = [F.normalize(side, dim=1) for side in (student, teacher)]
    torch.testing.assert_close(
        embedding_regression_loss(*on_sphere, normalise=False),
        embedding_regression_loss(student, teacher),
    )


def test_the_best_linear_head_is_that_of_least_squares():
    features, teacher = points(2, 30, 5), points(3, 30, 3)
    head = torch.linalg.lstsq(features, teacher).solution.requires_grad_()
    value = embedding_regression_loss(features @ head, teacher, normalise=False)
    assert torch.autograd.grad(value, head)[0].abs().max().item() < 1e-12
    # What is left is what lies outside of the features' span.
    basis = torch.linalg.qr(features)[0]
    residual = teacher - basis @ basis.T @ teacher
    torch.testing.assert_close(value, residual.square().sum() / 30)
    other = head.detach() + 0.01 * points(4, 5, 3)
    assert embedding_regression_loss(features @ other, teacher, normalise=False) > value


@pytest.mark.parametrize("normalise", [True, False])
def test_gradient_is_that_of_finite_differences(normalise):
    student, teacher = points(0).requires_grad_(), points(1)
    assert torch.autograd.gradcheck(
        lambda s: embedding_regression_loss(s, teacher, normalise=normalise), student
    )


@given(seed=st.integers(0, 2**31), scale=st.floats(1e-3, 1e3))
def test_bounds_order_rotation_and_scale(seed, scale):
    student, teacher = points(seed), points(seed + 1)
    rotation = torch.linalg.qr(points(seed + 2, 4))[0]
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    for normalise in (True, False):
        value = embedding_regression_loss(student, teacher, normalise=normalise).item()
        for ours, theirs, factor in (
            (student[order], teacher[order], 1),
            (student @ rotation, teacher @ rotation, 1),
            (scale * student, scale * teacher, 1 if normalise else scale**2),
        ):
            again = embedding_regression_loss(ours, theirs, normalise=normalise).item()
            assert again == pytest.approx(factor * value, rel=1e-9)
    assert 0 <= embedding_regression_loss(student, scale * teacher).item() <= 4


def test_equal_orthogonal_and_opposite():
    eye = torch.eye(4)
    for other, want in ((3 * eye, 0), (eye.roll(1, 0), 2), (-eye, 4), (0 * eye, 1)):
        assert embedding_regression_loss(eye, other).item() == want


def test_the_teacher_gets_no_gradient():
    student, teacher = points(0).requires_grad_(), points(1).requires_grad_()
    embedding_regression_loss(student, teacher).backward()
    assert student.grad.any()
    assert teacher.grad is None


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype, normalise):
    student, teacher = (100 * points(seed, 9, 16).to(dtype) for seed in (0, 1))
    student[0] = 0
    value = embedding_regression_loss(student.requires_grad_(), teacher, normalise=normalise)
    exact = embedding_regression_loss(student.double(), teacher.double(), normalise=normalise)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=0)
    assert bool(torch.autograd.grad(value, student)[0].isfinite().all())


def test_torch_compile_sees_one_graph():
    student, teacher = points(0).requires_grad_(), points(1)
    compiled = torch.compile(embedding_regression_loss, fullgraph=True, backend="aot_eager")
    got, want = (f(student, teacher) for f in (compiled, embedding_regression_loss))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(
        torch.autograd.grad(got, student), torch.autograd.grad(want, student)
    )


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="student and teacher must have one shape"):
        embedding_regression_loss(points(), points(width=3))
    with pytest.raises(ValueError, match="rows must be at least 1"):
        embedding_regression_loss(points(count=0), points(count=0))
