"""DIST against numpy's correlations, and what it must not see."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.dist import dist_loss


def logits(seed=0, rows=6, classes=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, rows, classes, dtype=torch.float64, generator=generator).unbind(0)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize(("beta", "gamma"), [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (2.0, 0.5)])
def test_value_is_that_of_numpys_correlations(beta, gamma, temperature):
    student, teacher = logits()
    q, p = ((each / temperature).softmax(1).numpy() for each in (student, teacher))
    inter = 1 - np.mean([np.corrcoef(q[i], p[i])[0, 1] for i in range(6)])
    intra = 1 - np.mean([np.corrcoef(q[:, c], p[:, c])[0, 1] for c in range(5)])
    options = {"beta": beta, "gamma": gamma, "temperature": temperature}
    got = dist_loss(student, teacher, **options)
    assert got.item() == pytest.approx(temperature**2 * (beta * inter + gamma * intra))


@given(seed=st.integers(0, 2**31), scale=st.floats(0.05, 1), temperature=st.sampled_from([1, 4]))
def test_probabilities_stretched_and_moved_are_the_same(seed, scale, temperature):
    """a p + (1 - a) / C are probabilities again: the softmax of T times their logarithm."""
    student, teacher = logits(seed)
    milder = scale * (student / temperature).softmax(1) + (1 - scale) / 5
    moved = temperature * milder.log()
    options = {"temperature": temperature}
    torch.testing.assert_close(
        dist_loss(moved, teacher, **options), dist_loss(student, teacher, **options)
    )
    assert dist_loss(moved, student, **options).item() == pytest.approx(0, abs=1e-9)


def test_every_image_may_be_stretched_by_another_factor_for_the_relation_of_its_classes():
    student, teacher = logits(1)
    scale = torch.linspace(0.1, 1, 6).double()[:, None]
    moved = (scale * student.softmax(1) + (1 - scale) / 5).log()
    got, want = (dist_loss(each, teacher, gamma=0.0) for each in (moved, student))
    torch.testing.assert_close(got, want)
    assert dist_loss(moved, teacher, beta=0.0) != dist_loss(student, teacher, beta=0.0)


@given(seed=st.integers(0, 2**31))
def test_both_parts_lie_between_0_and_2(seed):
    student, teacher = logits(seed)
    for options in ({"beta": 0.0}, {"gamma": 0.0}):
        assert 0 <= dist_loss(student, teacher, **options).item() <= 2


def test_two_classes_the_wrong_way_round_are_as_bad_as_can_be():
    """Of two classes all correlations are 1 or -1."""
    teacher = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    assert dist_loss(teacher.flip(1), teacher).item() == pytest.approx(4)
    assert dist_loss(teacher, teacher).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 3.7])
@pytest.mark.parametrize("classes", [3, 10, 1000])
def test_a_student_that_says_the_same_of_all_correlates_with_nothing(value, classes):
    """As a head that begins at 0 does; what rounding leaves of it gets no gradient."""
    teacher = torch.randn(7, classes, generator=torch.Generator().manual_seed(2))
    student = torch.full((7, classes), value, requires_grad=True)
    loss = dist_loss(student, teacher, beta=3.0, gamma=2.0)
    assert loss.item() == 5
    assert not torch.autograd.grad(loss, student)[0].any()


def test_one_image_is_refused():
    with pytest.raises(ValueError, match="rows must be at least 2, got 1"):
        dist_loss(torch.ones(1, 5), torch.ones(1, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": -1.0}, "beta must be at least 0"),
        ({"gamma": -1.0}, "gamma must be at least 0"),
        ({"temperature": 0.0}, "temperature must be above 0"),
    ],
)
def test_nonsense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        dist_loss(*logits(), **options)
    with pytest.raises(ValueError, match="classes must be at least 2"):
        dist_loss(torch.ones(4, 1), torch.ones(4, 1))
