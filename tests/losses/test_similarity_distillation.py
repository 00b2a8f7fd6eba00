"""CompRess and SEED against their words in loops, InfoNCE and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.info_nce import info_nce_loss
from lookalike.losses.similarity_distillation import similarity_distillation_loss
from lookalike.pairwise import similarity

SEED = {"temperature": 0.2, "teacher_temperature": 1e-4, "pair": True, "form": "cross_entropy"}


def points(seed=0, count=5, width=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def queue(seed=9, count=12, width=4):
    return F.normalize(points(seed, count, width), dim=1)


def compress(student, teacher, anchors, student_anchors, temperature, teacher_temperature):
    """Image by image: the divergence of two softmaxes over anchors."""
    total = 0
    for ours, theirs in zip(F.normalize(student), F.normalize(teacher), strict=True):
        p = (anchors @ theirs / teacher_temperature).softmax(0)
        q = (student_anchors @ ours / temperature).softmax(0)
        total = total + (p * (p / q).log()).sum()
    return total / len(student)


def seed(student, teacher, anchors, temperature, teacher_temperature):
    """Image by image: the soft cross entropy over the teacher's own embedding and the queue."""
    total = 0
    for ours, theirs in zip(F.normalize(student), F.normalize(teacher), strict=True):
        every = torch.cat([theirs[None], anchors])
        p = (every @ theirs / teacher_temperature).softmax(0)
        total = total - (p * (every @ ours / temperature).log_softmax(0)).sum()
    return total / len(student)


def both(value, student):
    return value, torch.autograd.grad(value, student)[0]


@pytest.mark.parametrize("tile", [(3, 5), (512, 2048)])
@pytest.mark.parametrize("temperatures", [(0.04, 0.04), (0.2, 1.0), (1.0, 0.1)])
@pytest.mark.parametrize("queues", [1, 2])
def test_compress_with_one_queue_and_with_two(queues, temperatures, tile, monkeypatch):
    monkeypatch.setattr(similarity, "CPU_TILE", tile)
    width = 4 if queues == 1 else 6
    student, teacher = points(0, width=width).requires_grad_(), points(1)
    anchors = queue()
    own = anchors if queues == 1 else queue(8, width=6)
    got = similarity_distillation_loss(
        student,
        teacher,
        anchors,
        None if queues == 1 else own,
        temperature=temperatures[0],
        teacher_temperature=temperatures[1],
    )
    want = compress(student, teacher, anchors, own, *temperatures)
    torch.testing.assert_close(both(got, student), both(want, student))


@pytest.mark.parametrize("tile", [(3, 5), (512, 2048)])
@pytest.mark.parametrize("temperatures", [(0.2, 0.01), (0.2, 0.2), (1.0, 3.0)])
def test_seed(temperatures, tile, monkeypatch):
    monkeypatch.setattr(similarity, "CPU_TILE", tile)
    student, teacher, anchors = points(0).requires_grad_(), points(1), queue()
    got = similarity_distillation_loss(
        student,
        teacher,
        anchors,
        temperature=temperatures[0],
        teacher_temperature=temperatures[1],
        pair=True,
        form="cross_entropy",
    )
    want = seed(student, teacher, anchors, *temperatures)
    torch.testing.assert_close(both(got, student), both(want, student))


def test_a_cold_teacher_is_info_nce_with_its_embedding_for_the_key():
    student, teacher, anchors = points(0).requires_grad_(), points(1), queue()
    got = similarity_distillation_loss(student, teacher, anchors, **SEED)
    want = info_nce_loss(student, teacher, anchors, temperature=0.2)
    torch.testing.assert_close(both(got, student), both(want, student))


def test_one_queue_and_no_pair_is_seed_without_its_first_column():
    """SEED of a queue in which the pair stands: P and Q are then CompRess's."""
    student, teacher, anchors = points(0, 1), points(1, 1), queue()
    settings = {"temperature": 0.1, "teacher_temperature": 0.1}
    full = torch.cat([F.normalize(teacher), anchors])
    for form in ("kl", "cross_entropy"):
        without = similarity_distillation_loss(student, teacher, full, **settings, form=form)
        paired = similarity_distillation_loss(
            student, teacher, anchors, **settings, pair=True, form=form
        )
        torch.testing.assert_close(without, paired)


@pytest.mark.parametrize("pair", [False, True])
def test_cross_entropy_is_larger_by_the_teachers_entropy(pair):
    student, teacher, anchors = points(0).requires_grad_(), points(1), queue()
    kl, cross = (
        similarity_distillation_loss(student, teacher, anchors, pair=pair, form=form)
        for form in ("kl", "cross_entropy")
    )
    units = F.normalize(teacher)
    logits = units @ anchors.T / 0.04
    if pair:
        logits = torch.cat([torch.full((5, 1), 1 / 0.04), logits], dim=1)
    entropy = torch.distributions.Categorical(logits=logits).entropy().mean()
    torch.testing.assert_close(cross - kl, entropy)
    torch.testing.assert_close(
        torch.autograd.grad(kl, student), torch.autograd.grad(cross, student)
    )


@pytest.mark.parametrize("pair", [False, True])
def test_a_blind_student_of_a_blind_teacher(pair):
    """Rows of no direction are as near to all anchors, and to themselves."""
    nothing, anchors = torch.zeros(3, 4), queue().float()
    cross = similarity_distillation_loss(nothing, nothing, anchors, pair=pair, form="cross_entropy")
    assert cross.item() == pytest.approx(math.log(12 + pair), rel=1e-6)
    assert similarity_distillation_loss(nothing, nothing, anchors, pair=pair).item() == (
        pytest.approx(0, abs=1e-6)
    )


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_student_that_is_the_teacher_is_zero(pair, dtype):
    student, anchors = points().to(dtype).requires_grad_(), queue().to(dtype)
    value, gradient = both(
        similarity_distillation_loss(student, 3 * student, anchors, pair=pair), student
    )
    assert value.item() == pytest.approx(0, abs=1e-5)
    assert gradient.abs().max().item() < 1e-4


@pytest.mark.parametrize("pair", [False, True])
@given(number=st.integers(0, 2**31), scale=st.floats(1e-3, 1e3), cold=st.floats(0.01, 2))
def test_order_rotation_and_scale_do_not_matter(pair, number, scale, cold):
    student, teacher, anchors = points(number), points(number + 1), queue(number + 2)
    rotation = torch.linalg.qr(points(number + 3, 4))[0]
    order, other = (
        torch.randperm(n, generator=torch.Generator().manual_seed(number)) for n in (5, 12)
    )
    settings = {"temperature": 0.1, "teacher_temperature": cold, "pair": pair}
    value = similarity_distillation_loss(student, teacher, anchors, **settings).item()
    assert value >= -1e-12
    for ours, theirs, columns in (
        (student[order], teacher[order], anchors[other]),
        (student @ rotation, teacher @ rotation, anchors @ rotation),
        (scale * student, teacher / scale, anchors),
    ):
        again = similarity_distillation_loss(ours, theirs, columns, **settings).item()
        assert again == pytest.approx(value, rel=1e-7, abs=1e-10)


def test_rotating_the_students_space_and_its_queue_does_not_matter():
    student, teacher, anchors, own = points(0, width=6), points(1), queue(), queue(8, width=6)
    rotation = torch.linalg.qr(points(3, 6, 6))[0]
    got = similarity_distillation_loss(student @ rotation, teacher, anchors, own @ rotation)
    torch.testing.assert_close(got, similarity_distillation_loss(student, teacher, anchors, own))


@pytest.mark.parametrize("pair", [False, True])
def test_gradient_is_that_of_finite_differences(pair):
    student, teacher, anchors = points(0).requires_grad_(), points(1), queue()
    assert torch.autograd.gradcheck(
        lambda s: similarity_distillation_loss(s, teacher, anchors, pair=pair, temperature=0.5),
        student,
    )


def test_only_the_student_gets_a_gradient():
    tensors = [points(0), points(1), queue(), queue(8)]
    for each in tensors:
        each.requires_grad_()
    similarity_distillation_loss(*tensors).backward()
    similarity_distillation_loss(*tensors[:3], pair=True).backward()
    assert [each.grad is not None for each in tensors] == [True, False, False, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype):
    student, teacher = (100 * points(s, 9, 16).to(dtype) for s in (0, 1))
    anchors = queue(2, 30, 16).to(dtype)
    for settings in ({}, SEED):
        value = similarity_distillation_loss(student, teacher, anchors, **settings)
        with torch.autocast("cpu", torch.bfloat16):
            cast = similarity_distillation_loss(
                student.float().requires_grad_(), teacher.float(), anchors.float(), **settings
            )
        exact = similarity_distillation_loss(
            student.double(), teacher.double(), anchors.double(), **settings
        )
        assert value.dtype == cast.dtype == torch.float32
        torch.testing.assert_close(value.double(), exact, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(cast, value)


@pytest.mark.parametrize("settings", [{}, SEED], ids=["compress", "seed"])
def test_zero_rows_and_a_queue_of_one_are_finite(settings):
    student, teacher = points(0).float(), points(1).float()
    student[0] = teacher[1] = 0
    for anchors in (queue().float(), queue(count=1).float()):
        value = similarity_distillation_loss(student.requires_grad_(), teacher, anchors, **settings)
        assert value.isfinite()
        assert bool(torch.autograd.grad(value, student)[0].isfinite().all())
    alone = similarity_distillation_loss(student, teacher, queue(count=1).float())
    assert alone.item() == pytest.approx(0, abs=1e-5)  # one anchor: P and Q are 1


@pytest.mark.parametrize("settings", [{}, SEED], ids=["compress", "seed"])
def test_torch_compile_sees_one_graph(settings):
    def loss(student, teacher, anchors):
        return similarity_distillation_loss(student, teacher, anchors, **settings)

    student, teacher, anchors = points(0).requires_grad_(), points(1), queue()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    got, want = (f(student, teacher, anchors) for f in (compiled, loss))
    torch.testing.assert_close(both(got, student), both(want, student))


def test_nonsense_is_refused():
    student, teacher, anchors = points(0), points(1), queue()
    wide = points(0, width=6)
    for arguments, settings, match in (
        ((student, teacher[:3], anchors), {}, "one number of rows"),
        ((student, teacher, queue(width=6)), {}, "teacher and anchors must have one width"),
        ((wide, teacher, anchors), {}, "student and anchors must have one width"),
        ((wide, teacher, anchors, queue()), {}, "student and student_anchors must have one width"),
        ((student, teacher, anchors, queue(count=3)), {}, "anchors and student_anchors must"),
        ((student, teacher, anchors, anchors), {"pair": True}, "pair must be False"),
        ((student, teacher, anchors[:0]), {}, "anchors must be at least 1"),
        ((student, teacher, anchors), {"temperature": 0}, "temperature must be above 0"),
        ((student, teacher, anchors), {"teacher_temperature": -1}, "teacher_temperature"),
        ((student, teacher, anchors), {"form": "mse"}, "form must be one of"),
    ):
        with pytest.raises(ValueError, match=match):
            similarity_distillation_loss(*arguments, **settings)
