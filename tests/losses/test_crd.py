"""CRD against torch's cross entropy, the paper's equations in loops and its start-up value."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.crd import crd_loss, crd_memory_loss, crd_normalisers
from lookalike.losses.info_nce import info_nce_loss
from lookalike.nn.memory_bank import MemoryBank

LABELS = torch.tensor([3, 0, 3, 3, 0, 9])  # 9 is alone


def points(seed=0, count=6, width=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def slow(student, teacher, labels, temperature):
    """Row by row: its own among itself and the rows of other labels."""
    logits = F.normalize(student, dim=1) @ F.normalize(teacher, dim=1).T / temperature
    total = 0
    for way in (logits, logits.T):
        for i, row in enumerate(way):
            kept = [j for j in range(len(row)) if j == i or labels[j] != labels[i]]
            total = total + row[kept].logsumexp(0) - row[i]
    return total / len(student)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
@pytest.mark.parametrize("labels", [None, LABELS])
def test_value_and_gradient_are_those_of_the_loop(labels, temperature):
    student, teacher = points(0).requires_grad_(), points(1)
    got = crd_loss(student, teacher, labels=labels, temperature=temperature)
    apart = torch.arange(6) if labels is None else labels
    want = slow(student, teacher, apart, temperature)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(
        torch.autograd.grad(got, student), torch.autograd.grad(want, student)
    )


def test_it_is_info_nce_both_ways():
    student, teacher = points(0), points(1)
    want = sum(info_nce_loss(*pair) for pair in ((student, teacher), (teacher, student)))
    torch.testing.assert_close(crd_loss(student, teacher, temperature=0.1), want)


@pytest.mark.parametrize("labels", [None, LABELS])
def test_gradient_is_that_of_finite_differences(labels):
    both = (points(0).requires_grad_(), points(1).requires_grad_())
    assert torch.autograd.gradcheck(
        lambda s, t: crd_loss(s, t, labels=labels, temperature=0.5, stop_gradient=False), both
    )


def test_only_a_teachers_side_that_learns_gets_a_gradient():
    student, teacher = points(0).requires_grad_(), points(1).requires_grad_()
    crd_loss(student, teacher).backward()
    assert student.grad.any()
    assert teacher.grad is None
    crd_loss(student, teacher, stop_gradient=False).backward()
    assert teacher.grad.any()


@pytest.mark.parametrize("count", [1, 2, 60])
def test_a_blind_guess_each_way(count):
    alike = torch.ones(count, 3)
    assert crd_loss(alike, alike).item() == pytest.approx(2 * math.log(count), abs=1e-5)


def test_one_label_leaves_nothing_to_be_mistaken_for():
    student = points(0).requires_grad_()
    value = crd_loss(student, points(1), labels=torch.zeros(6, dtype=torch.int64))
    assert value.item() == 0
    assert not torch.autograd.grad(value, student)[0].any()


@given(seed=st.integers(0, 2**31), temperature=st.floats(0.05, 2))
def test_order_rotation_and_scale_do_not_matter(seed, temperature):
    student, teacher = points(seed), points(seed + 1)
    value = crd_loss(student, teacher, labels=LABELS, temperature=temperature).item()
    assert value >= 0
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    rotation = torch.linalg.qr(points(seed + 2, 4))[0]
    for ours, theirs, labels in (
        (student[order], teacher[order], LABELS[order]),
        (student @ rotation, teacher @ rotation, 5 - LABELS),
        (9 * student, teacher / 9, LABELS),
    ):
        again = crd_loss(ours, theirs, labels=labels, temperature=temperature)
        assert again.item() == pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    student, teacher = (100 * points(seed, 9, 16).to(dtype) for seed in (0, 1))
    value = crd_loss(student.requires_grad_(), teacher)
    with torch.autocast("cpu", torch.bfloat16):
        cast = crd_loss(student.float(), teacher.float())
    assert value.dtype == cast.dtype == torch.float32
    torch.testing.assert_close(value.double(), crd_loss(student.double(), teacher.double()))
    torch.testing.assert_close(cast, value)
    assert bool(torch.autograd.grad(value, student)[0].isfinite().all())


def scores(seed=0, count=3, noise=5):
    return points(seed, count, 1 + noise).tanh()


def slow_side(side, images, normaliser, temperature):
    """h = P / (P + K / n), by the paper's words."""
    chance, total = (side.shape[1] - 1) / images, 0
    for own, *others in side:
        p = torch.exp(own / temperature) / normaliser
        total = total - torch.log(p / (p + chance))
        for other in others:
            p = torch.exp(other / temperature) / normaliser
            total = total - torch.log(1 - p / (p + chance))
    return total / len(side)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_memory_is_the_equations_both_ways(temperature):
    sides = scores(0), scores(1)
    settings = {"images": 50, "temperature": temperature}
    z = crd_normalisers(*sides, **settings)
    for side, each in zip(sides, z, strict=True):
        torch.testing.assert_close(each, 50 * (side / temperature).exp().mean())
    want = sum(slow_side(side, 50, each, temperature) for side, each in zip(sides, z, strict=True))
    torch.testing.assert_close(crd_memory_loss(*sides, normalisers=z, **settings), want)


@pytest.mark.parametrize("noise", [1, 100, 16384])
def test_start_up_value(noise):
    """Where nothing is known every P is 1 / n; at the paper's 16,384 a side is 10.7041."""
    nothing, images = torch.zeros(2, 1 + noise), 50000
    z = crd_normalisers(nothing, nothing, images=images)
    value = crd_memory_loss(nothing, nothing, images=images, normalisers=z)
    side = math.log(1 + noise) + noise * math.log1p(1 / noise)
    assert value.item() == pytest.approx(2 * side, rel=1e-5)
    if noise == 16384:
        assert side == pytest.approx(10.7041, abs=5e-5)


def test_banks_as_they_begin_are_near_the_start_up_value():
    """Rows of two fresh memories know nothing of the features."""
    torch.manual_seed(0)
    banks, draws = [MemoryBank(500, 64) for _ in range(2)], torch.randint(500, (8, 1 + 256))
    features = [F.normalize(torch.randn(8, 64), dim=1) for _ in range(2)]
    sides = [
        torch.einsum("bd,bkd->bk", each, bank.rows[draws])
        for each, bank in zip(features, reversed(banks), strict=True)
    ]
    z = crd_normalisers(*sides, images=500, temperature=1.0)
    value = crd_memory_loss(*sides, images=500, normalisers=z, temperature=1.0)
    want = 2 * (math.log(257) + 256 * math.log1p(1 / 256))
    assert value.item() == pytest.approx(want, rel=0.02)


def test_memory_gradients_reach_both_sides_and_no_normaliser():
    sides = tuple(scores(seed).requires_grad_() for seed in (0, 1))
    z = torch.tensor([40.0, 60.0], dtype=torch.float64, requires_grad=True)
    loss = lambda s, t: crd_memory_loss(s, t, images=30, normalisers=z, temperature=0.5)  # noqa: E731
    assert torch.autograd.gradcheck(loss, sides)
    loss(*sides).backward()
    assert z.grad is None
    assert not crd_normalisers(*sides, images=30).requires_grad


def test_a_score_of_minus_infinity_does_not_count():
    """Rows of the image's class, drawn with the rest."""
    side = scores(0)
    hidden = side.masked_fill(torch.arange(6) == 4, -math.inf).requires_grad_()
    z = torch.ones(2, dtype=torch.float64)
    got = crd_memory_loss(hidden, side, images=30, normalisers=z, temperature=0.5)
    chance, p = 5 / 30, torch.exp(side[:, 4] / 0.5)
    counted = torch.log(1 - p / (p + chance)).mean()
    want = crd_memory_loss(side, side, images=30, normalisers=z, temperature=0.5) + counted
    torch.testing.assert_close(got, want)
    assert bool(torch.autograd.grad(got, hidden)[0].isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_memory_in_half_precision_is_raised(dtype):
    sides = [scores(seed).to(dtype) for seed in (0, 1)]
    z = crd_normalisers(*sides, images=30)
    value = crd_memory_loss(*sides, images=30, normalisers=z)
    assert value.dtype == torch.float32
    exact = crd_memory_loss(*(s.double() for s in sides), images=30, normalisers=z.double())
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("labels", [None, LABELS])
def test_torch_compile_sees_one_graph(labels):
    def loss(student, teacher):
        memory = crd_memory_loss(student, teacher, images=9, normalisers=torch.ones(2))
        return crd_loss(student, teacher, labels=labels) + memory

    student, teacher = points(0).requires_grad_(), points(1)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    got, want = (f(student, teacher) for f in (compiled, loss))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(
        torch.autograd.grad(got, student), torch.autograd.grad(want, student)
    )


def test_nonsense_is_refused():
    side, z = scores(), torch.ones(2)
    with pytest.raises(ValueError, match="student and teacher must have one shape"):
        crd_loss(side, side[:2])
    with pytest.raises(ValueError, match=r"labels must have shape \(3,\)"):
        crd_loss(side, side, labels=LABELS)
    with pytest.raises(ValueError, match="temperature"):
        crd_loss(side, side, temperature=0)
    with pytest.raises(ValueError, match="rows must be at least 1"):
        crd_loss(side[:0], side[:0])
    with pytest.raises(ValueError, match="scores must be at least 2, got 1"):
        crd_memory_loss(side[:, :1], side[:, :1], images=5, normalisers=z)
    with pytest.raises(ValueError, match=r"normalisers must have shape \(2,\)"):
        crd_memory_loss(side, side, images=5, normalisers=z[0])
    with pytest.raises(ValueError, match="images"):
        crd_memory_loss(side, side, images=0, normalisers=z)
