"""NCA against loops, closed forms, scikit-learn and the paper's gradient."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NeighborhoodComponentsAnalysis

from lookalike.losses.info_nce import info_nce_loss
from lookalike.losses.nca import nca_loss
from lookalike.pairwise import similarity

FORMS = ["log", "expected"]
LABELS = torch.tensor([4, -1, 4, 0, -1, 4, 9, 0])  # 9 is alone


def points(seed=0, count=8, width=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def slow(z, labels, form="log", scale=1.0):
    """Row by row, by the paper's words."""
    total, anchors = z.new_zeros(()), 0
    for i in range(len(z)):
        near = {
            j: torch.exp(-scale * (z[i] - z[j]).square().sum()) for j in range(len(z)) if j != i
        }
        own = [mass for j, mass in near.items() if labels[j] == labels[i]]
        if own:
            p = sum(own) / sum(near.values())
            total = total + (-p.log() if form == "log" else 1 - p)
            anchors += 1
    return total / max(anchors, 1)


@pytest.mark.parametrize("tile", [(3, 5), (512, 2048)])
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("form", FORMS)
def test_value_and_gradient_are_those_of_the_loop(form, scale, tile, monkeypatch):
    monkeypatch.setattr(similarity, "CPU_TILE", tile)
    z = points().requires_grad_()
    got = nca_loss(z, LABELS, form=form, scale=scale)
    want = slow(z, LABELS, form, scale)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, z), torch.autograd.grad(want, z))


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_finite_differences(form, normalise):
    z = points().requires_grad_()
    options = {"form": form, "normalise": normalise}
    assert torch.autograd.gradcheck(lambda z: nca_loss(z, LABELS, **options), z)


def test_expected_is_scikit_learns_objective():
    """It maximises the sum of p_i over a linear map; no row may be alone, for it counts those."""
    generator = np.random.default_rng(0)
    data, classes = generator.normal(size=(12, 4)), np.arange(12) % 3
    linear = generator.normal(size=(2, 4))
    theirs = NeighborhoodComponentsAnalysis()
    theirs.n_iter_ = 0  # which the method counts up
    same = classes[:, None] == classes
    objective, slope = theirs._loss_grad_lbfgs(linear.ravel(), data, same)
    weights = torch.from_numpy(linear).requires_grad_()
    loss = nca_loss(torch.from_numpy(data) @ weights.T, torch.from_numpy(classes), form="expected")
    loss.backward()
    assert loss.item() == pytest.approx(1 - objective / 12)
    np.testing.assert_allclose(weights.grad.numpy().ravel(), -slope / 12)


def test_gradient_of_the_paper():
    """2A sum_i (p_i sum_k p_ik x_ik x_ik^T - sum over i's class of p_ij x_ij x_ij^T)."""
    data, labels = points(1, 10, 4), torch.arange(10) % 3
    linear = points(2, 2, 4).requires_grad_()
    (slope,) = torch.autograd.grad(nca_loss(data @ linear.T, labels, form="expected"), linear)
    apart = data[:, None] - data  # (10, 10, 4)
    far = (apart @ linear.detach().T).square().sum(2)
    p = (-far).fill_diagonal_(-math.inf).softmax(1)
    own = p * (labels[:, None] == labels)
    weights = own.sum(1, keepdim=True) * p - own
    outer = torch.einsum("ij,ijc,ijd->cd", weights, apart, apart)
    torch.testing.assert_close(slope, -2 * linear.detach() @ outer / 10)


@pytest.mark.parametrize("form", FORMS)
def test_collapse_of_18_classes_of_4_is_a_blind_guess(form):
    z, labels = torch.ones(72, 5, requires_grad=True), torch.arange(72) // 4
    loss = nca_loss(z, labels, form=form)
    want = {"log": math.log(71 / 3), "expected": 1 - 3 / 71}[form]
    assert loss.item() == pytest.approx(want, rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, z)
    assert gradient.abs().max().item() < 1e-6


def test_one_positive_is_info_nce_with_squared_distances():
    z = points(3, 12)
    partner = torch.arange(12).roll(6)
    logits = (-torch.cdist(z, z).square()).fill_diagonal_(-math.inf)
    loss = nca_loss(z, torch.arange(6).repeat(2))
    torch.testing.assert_close(loss, F.cross_entropy(logits, partner))
    # InfoNCE itself: on the sphere -d^2 is twice the cosine, less 2. One row at a time, for a row's
    # candidates are all others.
    unit = F.normalize(z, dim=1)
    ours = nca_loss(z, torch.arange(6).repeat(2), normalise=True, scale=3.0)
    others = [[j for j in range(12) if j not in (i, int(partner[i]))] for i in range(12)]
    theirs = torch.stack(
        [
            info_nce_loss(unit[[i]], unit[partner[[i]]], unit[others[i]], temperature=1 / 6)
            for i in range(12)
        ]
    )
    torch.testing.assert_close(ours, theirs.mean())


@pytest.mark.parametrize("form", FORMS)
@given(seed=st.integers(0, 2**31), shift=st.floats(-100, 100))
def test_order_rotation_and_place_do_not_matter(form, seed, shift):
    z = points(seed)
    loss = pytest.approx(nca_loss(z, LABELS, form=form).item(), rel=1e-7, abs=1e-9)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    rotation = torch.linalg.qr(points(seed + 1, 3))[0]
    assert nca_loss(z[order], LABELS[order], form=form).item() == loss
    assert nca_loss(z @ rotation, LABELS, form=form).item() == loss
    assert nca_loss(z + shift, LABELS, form=form).item() == loss
    assert nca_loss(3 * z, LABELS, form=form, scale=1 / 9).item() == loss
    assert nca_loss(z, 7 - 2 * LABELS, form=form).item() == loss


def test_far_from_the_origin_float32_is_enough():
    near = points(4)
    far = (near + 1024).float()
    got = nca_loss(far.requires_grad_(), LABELS)
    torch.testing.assert_close(got.double(), slow(far.double(), LABELS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "labels", [[0], [5, 5], [3, 3, 3, 3], [0, 1, 2, 3]], ids=["N=1", "pair", "one class", "alone"]
)
def test_batches_without_a_rival_or_a_partner_are_zero(form, labels):
    z = points(5, len(labels)).requires_grad_()
    loss = nca_loss(z, torch.tensor(labels), form=form)
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, z)
    assert not gradient.any()


def test_a_row_that_is_alone_adds_no_term_but_is_a_neighbour():
    z, labels = points(6, 5).requires_grad_(), torch.tensor([0, 0, 1, 1, 2])
    loss = nca_loss(z, labels)
    assert loss.item() > nca_loss(z[:4], labels[:4]).item()
    (gradient,) = torch.autograd.grad(loss, z)
    assert bool(gradient.isfinite().all())
    assert gradient[4].any()


def test_zero_rows_and_duplicates_have_finite_gradients():
    z = points(7)
    z[2] = z[0]
    z[1] = z[3] = 0
    for normalise in (True, False):
        (gradient,) = torch.autograd.grad(
            nca_loss(z.requires_grad_(), LABELS, normalise=normalise), z
        )
        assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    z = points(8).to(dtype).requires_grad_()
    exact = slow(z.double(), LABELS)
    loss = nca_loss(z, LABELS)
    with torch.autocast("cpu", torch.bfloat16):
        cast = nca_loss(z.float(), LABELS)
    assert loss.dtype == cast.dtype == torch.float32
    torch.testing.assert_close(loss.double(), exact, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(cast, loss)
    far = nca_loss(100 * z, LABELS)  # probabilities of 0 and 1
    for value in (loss, far):
        assert bool(value.isfinite())
        assert bool(torch.autograd.grad(value, z)[0].isfinite().all())


def test_arguments_are_left_as_they_were():
    z, labels = points(), LABELS.clone()
    before = z.clone()
    nca_loss(z.requires_grad_(), labels).backward()
    assert z.equal(before)
    assert labels.equal(LABELS)


def test_torch_compile_sees_one_graph():
    z = points().requires_grad_()
    compiled = torch.compile(nca_loss, fullgraph=True, backend="aot_eager")
    got, want = (f(z, LABELS) for f in (compiled, nca_loss))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, z), torch.autograd.grad(want, z))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embeddings": torch.ones(4)}, "embeddings must be a matrix"),
        ({"labels": torch.ones(3)}, r"labels must have shape \(4,\), got \(3,\)"),
        ({"scale": 0.0}, "scale must be above 0, got 0.0"),
        ({"form": "square"}, "form must be one of expected, log, got 'square'"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        nca_loss(**{"embeddings": torch.ones(4, 2), "labels": torch.arange(4), **wrong})


@pytest.mark.parametrize("length", [1.0, 114.0, 336.0, 1152.0])
def test_long_rows_keep_the_digits_of_their_gradient(length):
    """Between long rows that lie close, products in float32 lose what tells the distances."""
    generator = torch.Generator().manual_seed(0)
    away = torch.nn.functional.normalize(torch.randn(2, 8, generator=generator), dim=1) * length
    z = away.repeat_interleave(4, 0) + 0.3 * torch.randn(8, 8, generator=generator)
    labels = torch.arange(8) % 2

    def gradient(rows):
        rows = rows.clone().requires_grad_()
        squares = (rows[:, None] - rows).square().sum(2)
        logits = (-squares).masked_fill(torch.eye(8, dtype=torch.bool), -torch.inf)
        same = labels[:, None] == labels
        own = logits.masked_fill(~same, -torch.inf).logsumexp(1)
        (logits.logsumexp(1) - own).mean().backward()
        return rows.grad

    rows = z.clone().requires_grad_()
    loss = nca_loss(rows, labels)
    assert loss.dtype == torch.float32
    loss.backward()
    torch.testing.assert_close(rows.grad, gradient(z.double()).float(), rtol=1e-4, atol=1e-5)
