"""SupCon against loops, closed forms and NT-Xent."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.nt_xent import nt_xent_loss
from lookalike.losses.supcon import supcon_loss
from lookalike.pairwise import similarity

FORMS = ["out", "in"]
LABELS = torch.tensor([4, -1, 4, 0, -1, 4, 9, 0])  # 9 is alone


def rows(seed=0, count=8, width=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def slow(z, labels, form="out", temperature=0.1, normalise=True):
    """Equations 2 and 3, anchor by anchor."""
    z = F.normalize(z, dim=1) if normalise else z
    total, anchors = z.new_zeros(()), 0
    for i in range(len(z)):
        masses = {j: torch.exp(z[i] @ z[j] / temperature) for j in range(len(z)) if j != i}
        shares = [masses[j] / sum(masses.values()) for j in masses if labels[j] == labels[i]]
        if shares:
            shares = torch.stack(shares)
            total = total - (shares.log().mean() if form == "out" else shares.mean().log())
            anchors += 1
    return total / max(anchors, 1)


@pytest.mark.parametrize("tile", [(3, 5), (512, 2048)])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("temperature", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("form", FORMS)
def test_value_and_gradient_are_those_of_the_loop(form, temperature, normalise, tile, monkeypatch):
    monkeypatch.setattr(similarity, "CPU_TILE", tile)
    z = rows().requires_grad_()
    options = {"form": form, "temperature": temperature, "normalise": normalise}
    got, want = (f(z, LABELS, **options) for f in (supcon_loss, slow))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, z), torch.autograd.grad(want, z))


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_finite_differences(form, normalise):
    z = rows().requires_grad_()
    options = {"form": form, "normalise": normalise, "temperature": 0.5}
    assert torch.autograd.gradcheck(lambda z: supcon_loss(z, LABELS, **options), z)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_two_views_of_images_that_are_classes_are_nt_xent(form, temperature):
    z = rows(1, 12).requires_grad_()
    ours = supcon_loss(z, torch.arange(6).repeat(2), temperature=temperature, form=form)
    theirs = nt_xent_loss(z[:6], z[6:], temperature=temperature)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
    gradients = [torch.autograd.grad(each, z)[0] for each in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("form", FORMS)
def test_collapse_of_72_rows_is_a_blind_guess(form):
    loss = supcon_loss(torch.ones(72, 5), torch.arange(72) // 4, form=form)
    assert loss.item() == pytest.approx(math.log(71), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("form", FORMS)
def test_classes_that_are_points_at_right_angles(form, temperature):
    """P of a positive is e / ((K - 1) e + N - K), e = exp(1 / temperature), in both forms."""
    z = torch.eye(5, dtype=torch.float64).repeat(3, 1)  # 5 classes of K = 3
    e = math.exp(1 / temperature)
    loss = supcon_loss(z, torch.arange(15) % 5, form=form, temperature=temperature)
    assert loss.item() == pytest.approx(math.log((2 * e + 12) / e))


@given(seed=st.integers(0, 2**31))
def test_the_mean_inside_is_never_larger(seed):
    """Jensen's inequality, which is equality where a class has two rows."""
    z = rows(seed)
    inside, outside = (supcon_loss(z, LABELS, form=form).item() for form in ("in", "out"))
    assert 0 <= inside <= outside + 1e-12
    pairs = torch.arange(8) // 2
    inside, outside = (supcon_loss(z, pairs, form=form).item() for form in ("in", "out"))
    assert inside == pytest.approx(outside)


@pytest.mark.parametrize("form", FORMS)
@given(seed=st.integers(0, 2**31))
def test_order_rotation_and_lengths_do_not_matter(form, seed):
    z = rows(seed)
    loss = pytest.approx(supcon_loss(z, LABELS, form=form).item(), rel=1e-9)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    rotation = torch.linalg.qr(rows(seed + 1, 4))[0]
    lengths = torch.linspace(0.1, 9, 8, dtype=torch.float64)[:, None]
    assert supcon_loss(z[order], LABELS[order], form=form).item() == loss
    assert supcon_loss(z @ rotation, LABELS, form=form).item() == loss
    assert supcon_loss(z * lengths, LABELS, form=form).item() == loss


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("labels", [[0], [0, 1, 2, 3]], ids=["N=1", "alone"])
def test_batches_without_a_partner_are_zero(form, labels):
    z = rows(5, len(labels)).requires_grad_()
    loss = supcon_loss(z, torch.tensor(labels), form=form)
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, z)[0].any()


def test_one_class_pulls_together_by_softmax():
    """Nothing else is there to be told apart from, so the mean inside cannot be improved on."""
    z, labels = rows(6, 5).requires_grad_(), torch.zeros(5, dtype=torch.int64)
    inside = supcon_loss(z, labels, form="in")
    assert inside.item() == pytest.approx(math.log(4))
    assert torch.autograd.grad(inside, z)[0].abs().max().item() < 1e-12
    assert supcon_loss(z, labels).item() > math.log(4)


def test_a_row_that_is_alone_adds_no_term_but_is_a_negative():
    z, labels = rows(6, 5).requires_grad_(), torch.tensor([0, 0, 1, 1, 2])
    for form in FORMS:
        loss = supcon_loss(z, labels, form=form)
        assert loss.item() > supcon_loss(z[:4], labels[:4], form=form).item()
        (gradient,) = torch.autograd.grad(loss, z)
        assert bool(gradient.isfinite().all())
        assert gradient[4].any()


@pytest.mark.parametrize("form", FORMS)
def test_zero_rows_and_duplicates_have_finite_gradients(form):
    z = rows(7)
    z[2] = z[0]
    z[1] = z[3] = 0
    loss = supcon_loss(z.requires_grad_(), LABELS, form=form)
    (gradient,) = torch.autograd.grad(loss, z)
    assert bool(gradient.isfinite().all())
    assert not gradient[1].any()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype, form):
    z = (100 * rows(8)).to(dtype).requires_grad_()
    loss = supcon_loss(z, LABELS, form=form)
    with torch.autocast("cpu", torch.bfloat16):
        cast = supcon_loss(z.float(), LABELS, form=form)
    assert loss.dtype == cast.dtype == torch.float32
    torch.testing.assert_close(loss.double(), slow(z.double(), LABELS, form), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(cast, loss)
    assert bool(torch.autograd.grad(loss, z)[0].isfinite().all())


def test_arguments_are_left_as_they_were():
    z, labels = rows(), LABELS.clone()
    before = z.clone()
    supcon_loss(z.requires_grad_(), labels).backward()
    assert z.equal(before)
    assert labels.equal(LABELS)


def test_torch_compile_sees_one_graph():
    z = rows().requires_grad_()
    compiled = torch.compile(supcon_loss, fullgraph=True, backend="aot_eager")
    got, want = (f(z, LABELS) for f in (compiled, supcon_loss))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, z), torch.autograd.grad(want, z))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embeddings": torch.ones(4)}, "embeddings must be a matrix"),
        ({"labels": torch.ones(3)}, r"labels must have shape \(4,\), got \(3,\)"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"form": "up"}, "form must be one of in, out, got 'up'"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        supcon_loss(**{"embeddings": torch.ones(4, 2), "labels": torch.arange(4), **wrong})
