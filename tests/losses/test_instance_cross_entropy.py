"""ICE against loops, closed forms, its limits and NT-Xent."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.instance_cross_entropy import instance_cross_entropy_loss
from lookalike.losses.nt_xent import nt_xent_loss
from lookalike.losses.supcon import supcon_loss
from lookalike.pairwise import similarity

LABELS = torch.tensor([4, -1, 4, 0, -1, 4, 9, 0])  # 9 is alone


def rows(seed=0, count=8, width=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def terms(z, labels, temperature=1 / 64, normalise=True):
    """-log P(i | a) of every anchor and positive, each against all of the anchor's negatives."""
    z = F.normalize(z, dim=1) if normalise else z
    found = {}
    for a in range(len(z)):
        for i in range(len(z)):
            if i != a and labels[i] == labels[a]:
                candidates = [i, *(n for n in range(len(z)) if labels[n] != labels[a])]
                logits = torch.stack([z[a] @ z[j] for j in candidates]) / temperature
                found[a, i] = -logits.log_softmax(0)[0]
    return found


def slow(z, labels, **options):
    return torch.stack(list(terms(z, labels, **options).values())).mean()


@pytest.mark.parametrize("tile", [(3, 5), (512, 2048)])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("temperature", [1 / 64, 0.1, 1.0])
def test_value_and_gradient_are_those_of_the_loop(temperature, normalise, tile, monkeypatch):
    monkeypatch.setattr(similarity, "CPU_TILE", tile)
    z = rows().requires_grad_()
    options = {"temperature": temperature, "normalise": normalise}
    got, want = (f(z, LABELS, **options) for f in (instance_cross_entropy_loss, slow))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, z), torch.autograd.grad(want, z))


@pytest.mark.parametrize("normalise", [True, False])
def test_gradient_is_that_of_finite_differences(normalise):
    z = rows().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: instance_cross_entropy_loss(z, LABELS, temperature=0.5, normalise=normalise), z
    )


@pytest.mark.parametrize("temperature", [1 / 64, 0.1, 0.5])
def test_one_positive_an_anchor_is_nt_xent(temperature):
    z = rows(1, 12).requires_grad_()
    labels = torch.arange(6).repeat(2)
    ours = instance_cross_entropy_loss(z, labels, temperature=temperature)
    theirs = nt_xent_loss(z[:6], z[6:], temperature=temperature)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)
    gradients = [torch.autograd.grad(each, z)[0] for each in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-12)


def test_collapse_of_18_classes_of_4_is_a_blind_guess_among_69():
    z, labels = torch.ones(72, 5), torch.arange(72) // 4
    assert instance_cross_entropy_loss(z, labels).item() == pytest.approx(math.log(69), rel=1e-5)


def test_low_temperature_is_a_hinge_on_the_nearest_negative():
    """T * loss -> the mean of max(0, largest cosine with a negative - cosine with the positive)."""
    z = rows(2)
    unit = F.normalize(z, dim=1)
    cosines = unit @ unit.T
    hinges = [
        max(0.0, float(cosines[a][LABELS[a] != LABELS].max() - cosines[a, i]))
        for a, i in terms(z, LABELS)
    ]
    loss = instance_cross_entropy_loss(z, LABELS, temperature=1e-5).item()
    assert 1e-5 * loss == pytest.approx(sum(hinges) / len(hinges), abs=1e-4)


def test_high_temperature_is_a_guess_among_an_anchors_negatives_and_one():
    counts = [math.log(1 + int((LABELS[a] != LABELS).sum())) for a, _ in terms(rows(), LABELS)]
    loss = instance_cross_entropy_loss(rows(), LABELS, temperature=1e6).item()
    assert loss == pytest.approx(sum(counts) / len(counts), rel=1e-5)


def test_positives_pull_by_what_they_lack_and_push_equals_pull():
    """One pair and two others: of the dot products, the positive gets P - 1, a negative its P."""
    z, temperature = rows(3, 4).requires_grad_(), 0.5
    options = {"temperature": temperature, "normalise": False}
    loss = instance_cross_entropy_loss(z, torch.tensor([0, 0, 1, 2]), **options)
    (gradient,) = torch.autograd.grad(loss, z)
    logits = (z @ z.T).detach().fill_diagonal_(-math.inf) / temperature
    weights = logits.softmax(1)[:2] - torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0]])
    assert weights.sum(1).abs().max().item() < 1e-12
    of_dots = torch.cat([weights, torch.zeros(2, 4)]) / 2  # the mean of two terms
    torch.testing.assert_close(gradient, (of_dots + of_dots.T) @ z.detach() / temperature)


def test_another_positive_leaves_the_other_terms_as_they_are():
    """A copy of row 1 doubles its terms and adds its own; SupCon's softmax would hold it, too."""
    z, labels = rows(4, 4), torch.tensor([0, 0, 1, 2])
    more, longer = torch.cat([z, z[1:2]]), torch.cat([labels, labels[1:2]])
    before, twins = terms(z, labels), terms(more, longer)[1, 4]
    want = (2 * before[0, 1] + 2 * before[1, 0] + 2 * twins) / 6
    torch.testing.assert_close(instance_cross_entropy_loss(more, longer), want)
    changed = supcon_loss(more, longer) - supcon_loss(z, labels)
    assert changed.abs().item() > 1e-3


@given(seed=st.integers(0, 2**31))
def test_order_rotation_and_lengths_do_not_matter(seed):
    z = rows(seed)
    loss = pytest.approx(instance_cross_entropy_loss(z, LABELS).item(), rel=1e-8, abs=1e-9)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    rotation = torch.linalg.qr(rows(seed + 1, 4))[0]
    lengths = torch.linspace(0.1, 9, 8, dtype=torch.float64)[:, None]
    assert instance_cross_entropy_loss(z[order], LABELS[order]).item() == loss
    assert instance_cross_entropy_loss(z @ rotation, LABELS).item() == loss
    assert instance_cross_entropy_loss(z * lengths, LABELS).item() == loss


@pytest.mark.parametrize(
    "labels", [[0], [5, 5], [3, 3, 3, 3], [0, 1, 2, 3]], ids=["N=1", "pair", "one class", "alone"]
)
def test_batches_without_a_rival_or_a_partner_are_zero(labels):
    z = rows(5, len(labels)).requires_grad_()
    loss = instance_cross_entropy_loss(z, torch.tensor(labels))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, z)[0].any()


def test_zero_rows_and_duplicates_have_finite_gradients():
    z = rows(7)
    z[2] = z[0]
    z[1] = z[3] = 0
    (gradient,) = torch.autograd.grad(instance_cross_entropy_loss(z.requires_grad_(), LABELS), z)
    assert bool(gradient.isfinite().all())
    assert not gradient[1].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    z = (100 * rows(8)).to(dtype).requires_grad_()
    loss = instance_cross_entropy_loss(z, LABELS)
    with torch.autocast("cpu", torch.bfloat16):
        cast = instance_cross_entropy_loss(z.float(), LABELS)
    assert loss.dtype == cast.dtype == torch.float32
    torch.testing.assert_close(loss.double(), slow(z.double(), LABELS), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(cast, loss)
    assert bool(torch.autograd.grad(loss, z)[0].isfinite().all())


def test_arguments_are_left_as_they_were():
    z, labels = rows(), LABELS.clone()
    before = z.clone()
    instance_cross_entropy_loss(z.requires_grad_(), labels).backward()
    assert z.equal(before)
    assert labels.equal(LABELS)


def test_torch_compile_sees_one_graph():
    z = rows().requires_grad_()
    compiled = torch.compile(instance_cross_entropy_loss, fullgraph=True, backend="aot_eager")
    got, want = (f(z, LABELS) for f in (compiled, instance_cross_entropy_loss))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, z), torch.autograd.grad(want, z))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embeddings": torch.ones(4)}, "embeddings must be a matrix"),
        ({"labels": torch.ones(3)}, r"labels must have shape \(4,\), got \(3,\)"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    arguments = {"embeddings": torch.ones(4, 2), "labels": torch.arange(4), **wrong}
    with pytest.raises(ValueError, match=message):
        instance_cross_entropy_loss(**arguments)
