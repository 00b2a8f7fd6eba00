"""What every loss of images against class centres keeps, beside its equation written out."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lookalike import registry
from lookalike.errors import UsageError
from lookalike.losses.adaface import adaface_loss
from lookalike.losses.arcface import arcface_loss
from lookalike.losses.cosface import cosface_loss
from lookalike.losses.normalised_softmax import normalised_softmax_loss
from lookalike.losses.proxy_anchor import proxy_anchor_loss
from lookalike.losses.soft_triple import soft_triple_loss
from lookalike.losses.sphereface import sphereface_loss

LABELS = torch.tensor([0, 3, 2, 2, 4, 1, 0])
CLASSES, WIDTH = 6, 4  # of class 5 there is no image


def cosines(z: Tensor, w: Tensor) -> Tensor:
    return F.normalize(z, dim=1) @ F.normalize(w, dim=1).T


def replaced(logits: Tensor, labels: Tensor, own: Tensor) -> Tensor:
    """Return the cross entropy of logits of which each row's own is another."""
    own = own.gather(1, labels[:, None]) if own.ndim == 2 else own[:, None]
    return F.cross_entropy(logits.scatter(1, labels[:, None], own), labels)


def normalised_softmax(z, y, w, scale=20.0):
    return F.cross_entropy(scale * cosines(z, w), y)


def cosface(z, y, w, scale=64.0, margin=0.35):
    s = cosines(z, w)
    return F.cross_entropy(scale * (s - margin * F.one_hot(y, len(w))), y)


def arcface(z, y, w, scale=64.0, margin=0.5):
    s = cosines(z, w)
    theta = s.clamp(-1 + 1e-12, 1 - 1e-12).acos()
    wide = torch.where(
        theta + margin > math.pi, s - margin * math.sin(margin), (theta + margin).cos()
    )
    return replaced(scale * s, y, scale * wide)


def subcentre(z, y, w):
    s = cosines(z, w).view(len(z), -1, 3).amax(2)
    theta = s.clamp(-1 + 1e-12, 1 - 1e-12).acos()
    wide = torch.where(theta + 0.5 > math.pi, s - 0.5 * math.sin(0.5), (theta + 0.5).cos())
    return replaced(64 * s, y, 64 * wide)


def adaface(z, y, w, mean=2.0, deviation=1.0, scale=64.0, margin=0.4, h=0.333):
    s = cosines(z, w)
    g = (((z.detach().norm(dim=1, keepdim=True) - mean) / (deviation + 1e-3)) * h).clamp(-1, 1)
    theta = (s.acos() - margin * g).clamp(0, math.pi)
    return replaced(scale * s, y, scale * (theta.cos() - margin * (1 + g)))


def sphereface(z, y, w, margin=4):
    s, norms = cosines(z, w), z.norm(dim=1, keepdim=True)
    theta = s.acos()
    k = (theta * margin / math.pi).floor()
    return replaced(norms * s, y, norms * ((-1) ** k * (margin * theta).cos() - 2 * k))


def proxy_anchor(z, y, w, alpha=32.0, delta=0.1):
    s = cosines(z, w)
    own = F.one_hot(y, len(w)).bool()
    pull = ((-alpha * (s - delta)).exp() * own).sum(0).log1p()
    push = ((alpha * (s + delta)).exp() * ~own).sum(0).log1p()
    return pull[own.any(0)].mean() + push.mean()


def soft_triple(z, y, w, scale=20.0, delta=0.01, gamma=0.1, tau=0.2, each=10):
    s = cosines(z, w).view(len(z), -1, each)
    s = ((s / gamma).softmax(2) * s).sum(2)
    loss = F.cross_entropy(scale * (s - delta * F.one_hot(y, s.shape[1])), y)
    total = 0.0
    for centres in F.normalize(w, dim=1).view(-1, each, w.shape[1]):
        for t in range(each):
            for r in range(t):
                total = total + (2 - 2 * centres[t] @ centres[r]).sqrt()
    return loss + tau / (s.shape[1] * each * (each - 1)) * total


# The loss, its equation, its centres of a class, its further tensors.
CASES = {
    "normalised_softmax": (normalised_softmax_loss, normalised_softmax, 1, {}),
    "cosface": (cosface_loss, cosface, 1, {}),
    "arcface": (arcface_loss, arcface, 1, {}),
    "subcentre": (arcface_loss, subcentre, 3, {"centres_of_a_class": 3}),
    "adaface": (adaface_loss, adaface, 1, {"norm_mean": 2.0, "norm_deviation": 1.0}),
    "sphereface": (sphereface_loss, sphereface, 1, {}),
    "proxy_anchor": (proxy_anchor_loss, proxy_anchor, 1, {}),
    "soft_triple": (soft_triple_loss, soft_triple, 10, {}),
}
EVERY = pytest.mark.parametrize("name", CASES)
MARGINS = pytest.mark.parametrize("name", ["cosface", "arcface", "sphereface"])
ONE = ["normalised_softmax", "cosface", "arcface", "proxy_anchor"]


def given(name, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    rows = len(LABELS) + CASES[name][2] * CLASSES
    every = torch.randn(rows, WIDTH, dtype=torch.float64, generator=generator).to(dtype)
    return [part.requires_grad_() for part in every.split([len(LABELS), rows - len(LABELS)])]


def value(name, z, w, labels=LABELS, **options):
    loss, _, _, more = CASES[name]
    return loss(z, labels, w, **{**more, **options})


def on_their_centres(count=6):
    """Return images of norm 1 on their own of orthogonal class centres."""
    return torch.eye(count, dtype=torch.float64), torch.arange(count)


@EVERY
@pytest.mark.parametrize("seed", range(4))
def test_value_and_gradients_are_those_of_the_equation(name, seed):
    z, w = given(name, seed)
    got, want = value(name, z, w), CASES[name][1](z, LABELS, w)
    torch.testing.assert_close(got, want)
    ours, theirs = (torch.autograd.grad(each, (z, w)) for each in (got, want))
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in CASES if name != "adaface"])
def test_gradient_is_that_of_finite_differences(name):
    z, w = given(name, 5)
    options = {} if name == "sphereface" else {"scale": 4.0}
    assert torch.autograd.gradcheck(lambda z, w: value(name, z, w, **options), (z, w))


def test_gradient_of_adaface_is_that_of_finite_differences_at_held_norms():
    """The norms count as constants, so its slope along them is none: of centres, then."""
    z, w = given("adaface", 5)
    assert torch.autograd.gradcheck(lambda w: value("adaface", z.detach(), w, scale=4.0), w)
    (gradient,) = torch.autograd.grad(value("adaface", z, w), z)
    torch.testing.assert_close((gradient * z).sum(1), torch.zeros(7, dtype=torch.float64))


@MARGINS
def test_without_a_margin_it_is_the_normalised_softmax(name):
    z, w = given(name, 1)
    if name == "sphereface":
        z = F.normalize(z, dim=1)
        got = sphereface_loss(z, LABELS, w, margin=1, scale=20.0)
    else:
        got = value(name, z, w, margin=0.0, scale=20.0)
    torch.testing.assert_close(got, normalised_softmax(z, LABELS, w))


@pytest.mark.parametrize("margins", [(0.0, 0.2, 0.4, 0.6)])
@pytest.mark.parametrize("name", ["cosface", "arcface"])
def test_a_larger_margin_never_lowers_the_loss(name, margins):
    for seed in range(5):
        z, w = given(name, seed)
        losses = [value(name, z, w, margin=margin).item() for margin in margins]
        assert losses == sorted(losses)


@pytest.mark.parametrize(
    ("loss", "options", "own"),
    [
        (normalised_softmax_loss, {"scale": 4.0}, 4.0),
        (cosface_loss, {"scale": 4.0}, 4 * (1 - 0.35)),
        (arcface_loss, {"scale": 4.0}, 4 * math.cos(0.5)),
        (adaface_loss, {"scale": 4.0, "norm_mean": 1.0, "norm_deviation": 1.0}, 4 * (1 - 0.4)),
        (sphereface_loss, {"scale": 3.0}, 3.0),
    ],
)
def test_images_on_their_own_of_orthogonal_centres(loss, options, own):
    """log(1 + (C - 1) exp(-own logit))."""
    z, labels = on_their_centres()
    want = math.log1p(5 * math.exp(-own))
    assert loss(z, labels, z, **options).item() == pytest.approx(want, rel=1e-6)


def test_adaface_is_arcface_for_poor_images_and_cosface_for_average_ones():
    z, w = (each.detach() for each in given("adaface", 2))
    z = F.normalize(z, dim=1)
    options = {"scale": 8.0, "margin": 0.4}
    poor = adaface_loss(z, LABELS, w, 1e3, 1.0, **options)
    torch.testing.assert_close(poor, arcface_loss(z, LABELS, w, **options))
    average = adaface_loss(z, LABELS, w, 1.0, 1.0, **options)
    torch.testing.assert_close(average, cosface_loss(z, LABELS, w, **options))


def test_proxy_anchor_and_soft_triple_in_closed_form():
    z, labels = on_their_centres()
    want = math.log1p(math.exp(-32 * 0.9)) + math.log1p(5 * math.exp(32 * 0.1))
    assert proxy_anchor_loss(z, labels, z).item() == pytest.approx(want)
    assert want == pytest.approx(4.8176, abs=1e-4)
    equal = z.repeat_interleave(10, dim=0)  # ten equal centres a class: CosFace's margin
    want = math.log1p(5 * math.exp(-20 * 0.99))
    assert soft_triple_loss(z, labels, equal).item() == pytest.approx(want)


@EVERY
def test_a_joint_rotation_and_the_scale_of_centres_change_nothing(name):
    z, w = given(name, 3)
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH, dtype=torch.float64))[0]
    torch.testing.assert_close(value(name, z @ turn, 7 * w @ turn), value(name, z, w))


@pytest.mark.parametrize("name", [*ONE, "subcentre", "soft_triple"])
def test_the_scale_of_embeddings_changes_nothing(name):
    z, w = given(name, 3)
    lengths = torch.linspace(0.1, 9, len(z), dtype=torch.float64)[:, None]
    torch.testing.assert_close(value(name, z * lengths, w), value(name, z, w))


@pytest.mark.parametrize("name", [name for name in CASES if name != "proxy_anchor"])
def test_rows_without_a_label_add_nothing(name):
    z, w = given(name)
    known = LABELS.clone()
    known[2] = known[5] = -1
    rest = torch.tensor([0, 1, 3, 4, 6])
    got, want = value(name, z, w, known), value(name, z[rest], w, LABELS[rest])
    torch.testing.assert_close(got, want)
    none = value(name, z, w, torch.full_like(LABELS, -1))
    apart = value("soft_triple", z[:1], w, LABELS[:1] * 0 - 1) if name == "soft_triple" else 0
    torch.testing.assert_close(none, torch.as_tensor(apart, dtype=none.dtype))


@EVERY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(name, dtype):
    z, w = given(name, 4, dtype)
    with torch.autocast("cpu", torch.bfloat16):
        got = value(name, z, w)
    assert got.dtype == torch.float32
    want = value(name, z.float(), w.float())
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


@EVERY
def test_edges_have_finite_gradients(name):
    """Rows on a centre, opposite to it, and of norm 0."""
    z, w = (each.detach().float() for each in given(name))
    each = CASES[name][2]
    z[0], z[1], z[2] = w[LABELS[0] * each], -w[LABELS[1] * each], 0
    got = value(name, z.requires_grad_(), w.requires_grad_())
    assert bool(got.isfinite())
    for gradient in torch.autograd.grad(got, (z, w)):
        assert bool(gradient.isfinite().all())


@EVERY
def test_what_is_not_a_number_shows(name):
    z, w = (each.detach() for each in given(name))
    z[0, 0] = math.nan
    assert bool(value(name, z, w).isnan())


@EVERY
def test_torch_compile_sees_one_graph(name):
    z, w = given(name)
    compiled = torch.compile(lambda z, w: value(name, z, w), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z, w), value(name, z, w))


@EVERY
def test_it_is_no_loss_of_labelled_images_alone(name):
    """`--method metric --loss` offers what takes embeddings and labels; these take centres, too."""
    with pytest.raises(UsageError, match="is no loss of labelled images"):
        registry.locate("losses", CASES[name][0].__name__.removesuffix("_loss"))


@EVERY
def test_nonsense_is_refused(name):
    z, w = given(name)
    for wrong in ({"scale": 0.0}, {"margin": -1}):
        if set(wrong) <= set(inspect.signature(CASES[name][0]).parameters) and (
            name not in {"proxy_anchor", "soft_triple"} or "scale" in wrong
        ):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                value(name, z, w, **wrong)


class Largest(TorchDispatchMode):
    """Remember the most bytes that a tensor had which some operation made."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [each.nbytes for each in tree_leaves(result) if isinstance(each, Tensor)]
        self.bytes = max(self.bytes, *sizes, 0)
        return result


@EVERY
def test_no_matrix_of_images_and_classes_is_made(name):
    """512 images and 60,000 centres: 123 MB of logits, where the centres are 2 MB, a tile 4 MiB."""
    each = CASES[name][2]
    z = torch.randn(512, 8).requires_grad_()
    w = torch.randn(60_000, 8).requires_grad_()
    labels = torch.arange(512) % (60_000 // each)
    with Largest() as made:
        value(name, z, w, labels).backward()
    assert made.bytes <= 6 * 2**20
