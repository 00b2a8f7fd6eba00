"""N-pair against loops, closed forms, cross entropy and InfoNCE."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.info_nce import info_nce_loss
from lookalike.losses.n_pair import n_pair_loss
from lookalike.pairwise import similarity

FORMS = ["multi_class", "one_versus_one"]
LABELS = torch.tensor([4, -1, 4, 0, -1, 4, 9, 0, 4, 0])  # 9 is alone; 0's third is left over
PAIRS = [(0, 2), (5, 8), (1, 4), (3, 7)]  # by hand; the first two are of one class


def rows(seed=0, count=10, width=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def slow(z, labels, pairs=tuple(PAIRS), form="multi_class", norm_penalty=0.002):
    """Pair by pair."""
    total = z.new_zeros(())
    for a, p in pairs:
        rivals = [q for b, q in pairs if labels[b] != labels[a]]
        margins = [torch.exp(z[a] @ z[q] - z[a] @ z[p]) for q in rivals]
        if form == "multi_class":
            total = total + torch.log(1 + sum(margins, z.new_zeros(())))
        else:
            total = total + sum((torch.log(1 + m) for m in margins), z.new_zeros(()))
        total = total + norm_penalty / 4 * (z[a].square().sum() + z[p].square().sum())
    return total / len(pairs)


@pytest.mark.parametrize("tile", [(3, 2), (512, 2048)])
@pytest.mark.parametrize("norm_penalty", [0.0, 0.002, 1.0])
@pytest.mark.parametrize("form", FORMS)
def test_value_and_gradient_are_those_of_the_loop(form, norm_penalty, tile, monkeypatch):
    monkeypatch.setattr(similarity, "CPU_TILE", tile)
    z = rows().requires_grad_()
    options = {"form": form, "norm_penalty": norm_penalty}
    got, want = (f(z, LABELS, **options) for f in (n_pair_loss, slow))
    torch.testing.assert_close(got, want)
    gradients = [torch.autograd.grad(each, z)[0] for each in (got, want)]
    torch.testing.assert_close(*gradients)
    assert not gradients[0][[6, 9]].any()  # those without a partner


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_finite_differences(form):
    z = rows().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: n_pair_loss(z, LABELS, form=form), z)


def test_one_pair_a_class_is_cross_entropy():
    z = rows(1, 12)
    labels = torch.arange(6).repeat(2)
    scores = (z[:6] @ z[6:].T).requires_grad_()
    want = F.cross_entropy(scores, torch.arange(6))
    torch.testing.assert_close(n_pair_loss(z, labels, norm_penalty=0), want)
    # And its gradient: (softmax - identity) / N of the scores.
    (slope,) = torch.autograd.grad(want, scores)
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(n_pair_loss(z, labels, norm_penalty=0), z)
    torch.testing.assert_close(slope, (scores.softmax(1) - torch.eye(6)) / 6)
    torch.testing.assert_close(gradient, torch.cat([slope @ z[6:], slope.T @ z[:6]]))


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_with_cosines_over_a_temperature_it_is_info_nce(temperature):
    z = rows(2, 12)
    scaled = F.normalize(z, dim=1) / math.sqrt(temperature)
    ours = n_pair_loss(scaled, torch.arange(6).repeat(2), norm_penalty=0)
    torch.testing.assert_close(ours, info_nce_loss(z[:6], z[6:], temperature=temperature))


@pytest.mark.parametrize("pairs", [2, 60])
def test_collapse_is_a_blind_guess(pairs):
    alike = torch.full((2 * pairs, 4), 0.5)  # norm 1
    labels = torch.arange(pairs).repeat(2)
    penalty = 0.002 / 4 * 2
    assert n_pair_loss(alike, labels).item() == pytest.approx(math.log(pairs) + penalty, rel=1e-5)
    versus = n_pair_loss(alike, labels, form="one_versus_one").item()
    assert versus == pytest.approx((pairs - 1) * math.log(2) + penalty, rel=1e-5)


def test_two_classes_have_one_rival_and_so_one_loss():
    z, labels = rows(3, 4), torch.tensor([0, 1, 0, 1])
    one, other = (n_pair_loss(z, labels, form=form) for form in FORMS)
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("form", FORMS)
@given(seed=st.integers(0, 2**31))
def test_rotation_names_and_the_order_of_classes_do_not_matter_but_length_does(form, seed):
    z = rows(seed)
    loss = pytest.approx(n_pair_loss(z, LABELS, form=form).item(), rel=1e-8)
    rotation = torch.linalg.qr(rows(seed + 1, 4))[0]
    order = LABELS.argsort(stable=True).flip(0)  # classes mixed otherwise, rows of one in order
    order = torch.cat([order[LABELS[order] == label].sort().values for label in (0, 9, -1, 4)])
    assert n_pair_loss(z @ rotation, LABELS, form=form).item() == loss
    assert n_pair_loss(z, 7 - 2 * LABELS, form=form).item() == loss
    assert n_pair_loss(z[order], LABELS[order], form=form).item() == loss
    assert n_pair_loss(2 * z, LABELS, form=form, norm_penalty=0).item() != loss


def test_the_penalty_is_a_quarter_of_the_mean_squared_norms():
    z = rows(4)
    with_it, without = (n_pair_loss(z, LABELS, norm_penalty=p) for p in (4.0, 0.0))
    anchors, positives = (z[list(side)].square().sum(1).mean() for side in zip(*PAIRS, strict=True))
    torch.testing.assert_close(with_it - without, anchors + positives)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("labels", [[0], [0, 1, 2, 3]], ids=["N=1", "alone"])
def test_batches_without_a_pair_are_zero(form, labels):
    z = rows(5, len(labels)).requires_grad_()
    loss = n_pair_loss(z, torch.tensor(labels), form=form)
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, z)[0].any()


@pytest.mark.parametrize("form", FORMS)
def test_one_class_has_only_its_penalty(form):
    z, labels = rows(6, 5).requires_grad_(), torch.full((5,), 3)
    assert n_pair_loss(z, labels, form=form, norm_penalty=0).item() == 0
    (gradient,) = torch.autograd.grad(n_pair_loss(z, labels, form=form, norm_penalty=2.0), z)
    # Four rows in two pairs: 2 / 4 * |f|^2 / 2, so f / 2 each; the fifth is left over.
    torch.testing.assert_close(gradient, torch.cat([z[:4] / 2, torch.zeros(1, 4)]).detach())


@pytest.mark.parametrize("form", FORMS)
def test_zero_rows_and_duplicates_have_finite_gradients(form):
    z = rows(7)
    z[2] = z[0]
    z[1] = z[3] = 0
    (gradient,) = torch.autograd.grad(n_pair_loss(z.requires_grad_(), LABELS, form=form), z)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype, form):
    z = rows(8).to(dtype).requires_grad_()
    loss = n_pair_loss(z, LABELS, form=form)
    with torch.autocast("cpu", torch.bfloat16):
        cast = n_pair_loss(z.float(), LABELS, form=form)
    assert loss.dtype == cast.dtype == torch.float32
    torch.testing.assert_close(loss.double(), slow(z.double(), LABELS, form=form))
    torch.testing.assert_close(cast, loss)
    far = n_pair_loss(100 * z, LABELS, form=form)  # scores of some 10^4
    for value in (loss, far):
        assert bool(value.isfinite())
        assert bool(torch.autograd.grad(value, z)[0].isfinite().all())


def test_arguments_are_left_as_they_were():
    z, labels = rows(), LABELS.clone()
    before = z.clone()
    n_pair_loss(z.requires_grad_(), labels).backward()
    assert z.equal(before)
    assert labels.equal(LABELS)


@pytest.mark.parametrize("form", FORMS)
def test_torch_compile_sees_one_graph(form):
    z = rows().requires_grad_()
    compiled = torch.compile(n_pair_loss, fullgraph=True, backend="aot_eager")
    got, want = (f(z, LABELS, form=form) for f in (compiled, n_pair_loss))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, z), torch.autograd.grad(want, z))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embeddings": torch.ones(4)}, "embeddings must be a matrix"),
        ({"labels": torch.ones(3)}, r"labels must have shape \(4,\), got \(3,\)"),
        ({"norm_penalty": -1.0}, "norm_penalty must be at least 0, got -1.0"),
        ({"form": "two"}, "form must be one of multi_class, one_versus_one, got 'two'"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        n_pair_loss(**{"embeddings": torch.ones(4, 2), "labels": torch.arange(4), **wrong})
