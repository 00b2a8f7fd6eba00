import math

import pytest
import torch
import torch.nn.functional as F

from lookalike.losses import _margin_softmax
from lookalike.losses._margin_softmax import (
    check_classes,
    class_logsumexp,
    class_similarity,
    margin_cross_entropy,
    turned,
)

LABELS = torch.tensor([0, 3, 2, 2, -1, 1])


def rows(count=6, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.5, math.pi / 2, -0.4])
def test_a_turned_cosine_is_that_of_the_sum_inside_of_half_a_circle(angle):
    theta = torch.linspace(0, math.pi, 101, dtype=torch.float64)
    theta = theta[(theta + angle > 1e-6) & (theta + angle < math.pi - 1e-6)]
    torch.testing.assert_close(turned(theta.cos(), angle), (theta + angle).cos())


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.5, -0.4])
def test_a_turned_cosine_never_rises_with_the_angle(angle):
    theta = torch.linspace(0, math.pi, 1001, dtype=torch.float64)
    assert bool((turned(theta.cos(), angle).diff() <= 1e-9).all())


def test_beyond_half_a_circle_it_falls_with_the_cosine_and_below_0_it_is_1():
    beyond, below = torch.tensor([math.cos(3.0)]), torch.tensor([math.cos(0.2)])
    assert turned(beyond, 0.5).item() == pytest.approx(math.cos(3.0) - 0.5 * math.sin(0.5))
    assert turned(below, -0.4).item() == 1


def test_each_row_may_have_an_angle_of_its_own():
    cosines = rows(1, 5).tanh()[0]
    angles = torch.tensor([0.5, -0.4, 0.0, 0.1, 0.3], dtype=torch.float64)
    each = torch.stack([turned(c, a.item()) for c, a in zip(cosines, angles, strict=True)])
    torch.testing.assert_close(turned(cosines, angles), each)


@pytest.mark.parametrize("cosine", [1.0, -1.0])
def test_its_slope_is_finite_at_the_ends(cosine):
    ends = torch.tensor([cosine], requires_grad=True)
    turned(ends, 0.5).sum().backward()
    assert bool(ends.grad.isfinite().all())


def test_it_is_the_cross_entropy_of_logits_of_which_one_is_changed():
    z, w, own = rows(), rows(5, 4, 1), rows(1, 6, 2)[0]
    logits = 3 * z @ w.T
    known = LABELS >= 0
    logits = logits[known].scatter(1, LABELS[known, None], own[known, None])
    want = F.cross_entropy(logits, LABELS[known])
    torch.testing.assert_close(margin_cross_entropy(z, LABELS, w, own, scale=3.0), want)


@pytest.mark.parametrize("tile", [12, 37, 2**20])
@pytest.mark.parametrize("sharpness", [math.inf, 4.0])
def test_several_centres_are_the_log_sum_exp_of_the_classes_similarities(
    sharpness, tile, monkeypatch
):
    monkeypatch.setattr(_margin_softmax, "AREA", tile)
    z, w = rows().requires_grad_(), rows(15, 4, 1).view(5, 3, 4).requires_grad_()
    got = class_logsumexp(z, LABELS, w, scale=6.0, sharpness=sharpness)
    cosines = torch.einsum("nd,ckd->nck", z, w)
    logits = 6 * class_similarity(cosines, sharpness)
    logits = logits.masked_fill(F.one_hot(LABELS.clamp(0), 5).bool() & (LABELS >= 0)[:, None], -1e9)
    want = logits.logsumexp(1)
    torch.testing.assert_close(got, want)
    for each in (z, w):
        ours, theirs = (
            torch.autograd.grad(value.square().sum(), each, retain_graph=True)[0]
            for value in (got, want)
        )
        torch.testing.assert_close(ours, theirs)


def test_a_class_is_as_near_as_its_nearest_centre_or_its_near_ones():
    cosines = torch.tensor([0.1, 0.9, -0.5])
    assert class_similarity(cosines, math.inf).item() == pytest.approx(0.9)
    assert class_similarity(cosines, 1e4).item() == pytest.approx(0.9)
    assert class_similarity(cosines, 0.0).item() == pytest.approx(0.5 / 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"centres": torch.ones(3, 5)}, "embeddings and centres must have one width"),
        ({"labels": torch.ones(3)}, r"labels must have shape \(4,\), got \(3,\)"),
        ({"centres": torch.ones(1, 2)}, "classes must be at least 2, got 1"),
        ({"each": 2, "centres": torch.ones(5, 2)}, "centres must be 2 for each class, got 5"),
        ({"scale": 0}, "scale must be above 0, got 0"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    given = {"embeddings": torch.ones(4, 2), "labels": torch.arange(4), "centres": torch.ones(4, 2)}
    with pytest.raises(ValueError, match=message):
        check_classes(**{**given, **wrong})
