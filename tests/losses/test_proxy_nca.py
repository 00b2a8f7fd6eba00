"""Proxy-NCA against loops, closed forms and cross entropy."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.proxy_nca import proxy_nca_loss
from lookalike.pairwise import similarity

LABELS = torch.tensor([2, 0, 2, 4, -1, 0, 2])  # one is unknown; classes 1 and 3 are absent


def inputs(seed=0, count=7, classes=5, width=3):
    generator = torch.Generator().manual_seed(seed)
    both = torch.randn(count + classes, width, dtype=torch.float64, generator=generator)
    return both[:count].clone(), both[count:].clone()


def slow(z, labels, proxies, scale=1.0, normalise=True, exclude_own=True):
    """Row by row, by the paper's words."""
    if normalise:
        z, proxies = F.normalize(z, dim=1), F.normalize(proxies, dim=1)
    terms = []
    for row, label in zip(z, labels.tolist(), strict=True):
        if label >= 0:
            near = [torch.exp(-scale * (row - proxy).square().sum()) for proxy in proxies]
            rivals = [mass for c, mass in enumerate(near) if c != label or not exclude_own]
            terms.append(-torch.log(near[label] / sum(rivals)))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("tile", [(3, 2), (512, 2048)])
@pytest.mark.parametrize("scale", [1.0, 9.0])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("exclude_own", [True, False])
def test_value_and_gradient_are_those_of_the_loop(exclude_own, normalise, scale, tile, monkeypatch):
    monkeypatch.setattr(similarity, "CPU_TILE", tile)
    z, proxies = (each.requires_grad_() for each in inputs())
    options = {"exclude_own": exclude_own, "normalise": normalise, "scale": scale}
    got, want = (f(z, LABELS, proxies, **options) for f in (proxy_nca_loss, slow))
    torch.testing.assert_close(got, want)
    gradients = [torch.autograd.grad(each, (z, proxies)) for each in (got, want)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
    assert not gradients[0][0][4].any()  # the unknown row


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("exclude_own", [True, False])
def test_gradient_is_that_of_finite_differences(exclude_own, normalise):
    both = tuple(each.requires_grad_() for each in inputs(1))
    options = {"exclude_own": exclude_own, "normalise": normalise}
    assert torch.autograd.gradcheck(
        lambda z, proxies: proxy_nca_loss(z, LABELS, proxies, **options), both
    )


def test_on_the_sphere_with_the_own_proxy_it_is_a_cosine_classifier():
    """-d^2 is twice the cosine, less 2, which a softmax does not see."""
    z, proxies = inputs(2)
    labels = torch.arange(7) % 5
    logits = 2 * 4.0 * F.normalize(z, dim=1) @ F.normalize(proxies, dim=1).T
    loss = proxy_nca_loss(z, labels, proxies, scale=4.0, exclude_own=False)
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels))


@pytest.mark.parametrize("scale", [1.0, 9.0])
def test_collapse_is_a_blind_guess(scale):
    z, proxies, labels = torch.ones(6, 3), torch.ones(4, 3), torch.arange(6) % 4
    without = proxy_nca_loss(z, labels, proxies, scale=scale)
    with_it = proxy_nca_loss(z, labels, proxies, scale=scale, exclude_own=False)
    assert without.item() == pytest.approx(math.log(3), abs=1e-5)
    assert with_it.item() == pytest.approx(math.log(4), abs=1e-5)


@pytest.mark.parametrize("scale", [1.0, 9.0])
def test_rows_at_their_proxies_and_proxies_at_right_angles(scale):
    """Distances are 0 and sqrt(2)."""
    z, labels = torch.eye(4, dtype=torch.float64), torch.arange(4)
    without = proxy_nca_loss(z, labels, z, scale=scale)
    with_it = proxy_nca_loss(z, labels, z, scale=scale, exclude_own=False)
    assert without.item() == pytest.approx(math.log(3) - 2 * scale)
    assert with_it.item() == pytest.approx(math.log1p(3 * math.exp(-2 * scale)))


def test_without_the_own_proxy_the_sphere_bounds_the_loss():
    """Two opposite proxies with their rows upon them: as far as it goes."""
    z = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    loss = proxy_nca_loss(z, torch.arange(2), z, scale=3.0)
    assert loss.item() == pytest.approx(math.log(1) - 4 * 3.0)


@pytest.mark.parametrize("exclude_own", [True, False])
@given(seed=st.integers(0, 2**31))
def test_order_rotation_and_lengths_do_not_matter(exclude_own, seed):
    z, proxies = inputs(seed)
    options = {"exclude_own": exclude_own}
    loss = pytest.approx(proxy_nca_loss(z, LABELS, proxies, **options).item(), rel=1e-8, abs=1e-9)
    generator = torch.Generator().manual_seed(seed)
    order, names = (torch.randperm(n, generator=generator) for n in (7, 5))
    rotation = torch.linalg.qr(inputs(seed + 1, 3)[0])[0]
    renamed = torch.where(LABELS < 0, LABELS, names.argsort()[LABELS.clamp_min(0)])
    assert proxy_nca_loss(z[order], LABELS[order], proxies, **options).item() == loss
    assert proxy_nca_loss(z, renamed, proxies[names], **options).item() == loss
    assert proxy_nca_loss(z @ rotation, LABELS, proxies @ rotation, **options).item() == loss
    assert proxy_nca_loss(3 * z, LABELS, proxies / 7, **options).item() == loss


def test_place_does_not_matter_where_not_normalised():
    z, proxies = inputs(3)
    near, far = (
        proxy_nca_loss(z + shift, LABELS, proxies + shift, normalise=False) for shift in (0, 50)
    )
    torch.testing.assert_close(near, far)


@pytest.mark.parametrize("exclude_own", [True, False])
@pytest.mark.parametrize(
    ("labels", "classes"), [([-1, -1], 3), ([0, 0], 1)], ids=["unknown", "one class"]
)
def test_batches_without_a_label_or_a_rival_are_zero(labels, classes, exclude_own):
    z, proxies = (each.requires_grad_() for each in inputs(4, 2, classes))
    loss = proxy_nca_loss(z, torch.tensor(labels), proxies, exclude_own=exclude_own)
    assert loss.item() == 0
    for gradient in torch.autograd.grad(loss, (z, proxies)):
        assert not gradient.any()


def test_unknown_rows_are_as_if_they_were_not_there():
    z, proxies = inputs(5)
    known = LABELS >= 0
    got, want = (proxy_nca_loss(z[k], LABELS[k], proxies) for k in (slice(None), known))
    torch.testing.assert_close(got, want)


def test_zero_rows_and_duplicates_have_finite_gradients():
    z, proxies = inputs(6)
    z[0] = 0
    z[2] = z[3]
    proxies[1] = 0
    proxies[2] = proxies[0]
    both = (z.requires_grad_(), proxies.requires_grad_())
    for gradient in torch.autograd.grad(proxy_nca_loss(z, LABELS, proxies), both):
        assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    z, proxies = ((100 * each).to(dtype).requires_grad_() for each in inputs(7))
    loss = proxy_nca_loss(z, LABELS, proxies)
    with torch.autocast("cpu", torch.bfloat16):
        cast = proxy_nca_loss(z.float(), LABELS, proxies.float())
    assert loss.dtype == cast.dtype == torch.float32
    exact = slow(z.double(), LABELS, proxies.double())
    torch.testing.assert_close(loss.double(), exact, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(cast, loss)
    far = proxy_nca_loss(z, LABELS, proxies, normalise=False)
    for value in (loss, far):
        assert bool(value.isfinite())
        for gradient in torch.autograd.grad(value, (z, proxies)):
            assert bool(gradient.isfinite().all())


def test_arguments_are_left_as_they_were():
    z, proxies = inputs()
    before, labels = (z.clone(), proxies.clone()), LABELS.clone()
    proxy_nca_loss(z.requires_grad_(), labels, proxies.requires_grad_()).backward()
    assert z.equal(before[0])
    assert proxies.equal(before[1])
    assert labels.equal(LABELS)


def test_torch_compile_sees_one_graph():
    both = tuple(each.requires_grad_() for each in inputs())
    compiled = torch.compile(proxy_nca_loss, fullgraph=True, backend="aot_eager")
    got, want = (f(both[0], LABELS, both[1]) for f in (compiled, proxy_nca_loss))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, both), torch.autograd.grad(want, both))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embeddings": torch.ones(4)}, "embeddings must be a matrix"),
        ({"proxies": torch.ones(3, 5)}, "embeddings and proxies must have one width"),
        ({"proxies": torch.ones(0, 2)}, "proxies must be at least 1, got 0"),
        ({"labels": torch.ones(3)}, r"labels must have shape \(4,\), got \(3,\)"),
        ({"scale": 0.0}, "scale must be above 0, got 0.0"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    arguments = {"embeddings": torch.ones(4, 2), "labels": torch.arange(4) % 3}
    arguments |= {"proxies": torch.ones(3, 2), **wrong}
    with pytest.raises(ValueError, match=message):
        proxy_nca_loss(**arguments)
