"""RKD against the paper's words in loops, the direct form, and what the shape of a batch allows."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses.rkd import rkd_angle_loss, rkd_distance_loss, rkd_loss
from lookalike.pairwise import distances

LOSSES = [rkd_distance_loss, rkd_angle_loss, rkd_loss]


def points(seed=0, count=7, width=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def huber(x):
    return x * x / 2 if abs(x) <= 1 else abs(x) - 0.5


def unit(x):
    return x / x.norm() if x.any() else torch.zeros_like(x)


def direct_distance(student, teacher):
    """Pair by pair, by the paper's words."""
    count = len(student)
    pairs = [(i, j) for i in range(count) for j in range(count) if i != j]
    ours, theirs = (
        torch.stack([(side[i] - side[j]).norm() for i, j in pairs]) for side in (student, teacher)
    )
    gaps = ours / ours.mean() - theirs / theirs.mean()
    return sum(huber(gap) for gap in gaps) / len(pairs)


def direct_angle(student, teacher):
    """Triple by triple."""
    everyone, terms = range(len(student)), []
    for i in everyone:
        for j in everyone:
            for k in everyone:
                if len({i, j, k}) == 3:
                    ours, theirs = (
                        unit(side[j] - side[i]) @ unit(side[k] - side[i])
                        for side in (student, teacher)
                    )
                    terms.append(huber(ours - theirs))
    return sum(terms) / len(terms)


DIRECT = [(rkd_distance_loss, direct_distance), (rkd_angle_loss, direct_angle)]


@pytest.mark.parametrize("tile", [1, 100, 2**18])
@pytest.mark.parametrize(("loss", "direct"), DIRECT)
def test_value_and_gradient_are_those_of_the_loop(loss, direct, tile, monkeypatch):
    monkeypatch.setattr(distances, "CPU_TILE", tile)
    student, teacher = points(0).requires_grad_(), 3 * points(1, width=5)
    got, want = loss(student, teacher), direct(student, teacher)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(
        torch.autograd.grad(got, student), torch.autograd.grad(want, student)
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_that_of_finite_differences(loss):
    teacher = points(1, width=2)
    assert torch.autograd.gradcheck(lambda s: loss(s, teacher), points(0).requires_grad_())


def test_both_are_weighted():
    student, teacher = points(0), points(1)
    distance, angle = rkd_distance_loss(student, teacher), rkd_angle_loss(student, teacher)
    torch.testing.assert_close(rkd_loss(student, teacher), distance + 2 * angle)
    for weights in ((25.0, 50.0), (3.0, 0.0), (0.0, 1.0)):
        got = rkd_loss(student, teacher, distance=weights[0], angle=weights[1])
        torch.testing.assert_close(got, weights[0] * distance + weights[1] * angle)


def test_the_published_reductions_are_the_docstrings_fractions_of_ours():
    """Means over B^2 and B^3 entries, those of a row with itself included."""
    student, teacher = points(0, 8), points(1, 8)
    ours, theirs = (torch.cdist(side, side) for side in (student, teacher))
    means = [d[d > 0].mean() for d in (ours, theirs)]
    published = F.smooth_l1_loss(ours / means[0], theirs / means[1])
    torch.testing.assert_close(published, 7 / 8 * rkd_distance_loss(student, teacher))
    units = [F.normalize(side[None] - side[:, None], dim=2) for side in (student, teacher)]
    published = F.smooth_l1_loss(*(e @ e.transpose(1, 2) for e in units))
    torch.testing.assert_close(published, 7 * 6 / 64 * rkd_angle_loss(student, teacher))


def test_angles_of_known_triangles():
    """Equilateral against a right one: cosines of 1/2 thrice, against 0 and twice 1/sqrt(2)."""
    equal = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]], dtype=torch.float64)
    right = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    want = (huber(0.5) + 2 * huber(0.5 - 0.5**0.5)) / 3
    assert rkd_angle_loss(equal, right).item() == pytest.approx(want)
    sides = [1.0, 1.0, 2**0.5]
    want = sum(huber(1 - side / (sum(sides) / 3)) for side in sides) / 3
    assert rkd_distance_loss(equal, right).item() == pytest.approx(want)


def test_opposite_directions_are_the_most_that_angles_can_be_apart():
    """On a line, row 0 between the others or beside them: its cosine is -1 or 1."""
    between = torch.tensor([[0.0], [-1.0], [1.0]])
    beside = torch.tensor([[0.0], [1.0], [3.0]])
    # Row 0: -1 against 1. Rows 1: 1 against -1. Row 2: 1 and 1.
    assert rkd_angle_loss(between, beside).item() == pytest.approx(2 * 1.5 / 3)


@pytest.mark.parametrize("loss", LOSSES)
@given(seed=st.integers(0, 2**31), shift=st.floats(-100, 100), scale=st.floats(1e-3, 1e3))
def test_place_rotation_scale_and_order_do_not_matter(loss, seed, shift, scale):
    student, teacher = points(seed), points(seed + 1, width=5)
    want = pytest.approx(loss(student, teacher).item(), rel=1e-6, abs=1e-10)
    rotation = torch.linalg.qr(points(seed + 2, 3))[0]
    order = torch.randperm(7, generator=torch.Generator().manual_seed(seed))
    assert loss(scale * student + shift, teacher).item() == want
    assert loss(student, scale * teacher + shift).item() == want
    assert loss(student @ rotation, teacher).item() == want
    assert loss(student[order], teacher[order]).item() == want
    assert 0 <= rkd_angle_loss(student, teacher).item() <= 1.5


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_shape_is_zero(loss, dtype):
    student = points().to(dtype).requires_grad_()
    rotation = torch.linalg.qr(points(1, 3))[0].to(dtype)
    wider = F.pad(5 * student.detach() @ rotation - 2, (0, 4))
    for teacher in (student, wider):
        value = loss(student, teacher)
        assert value.item() == pytest.approx(0, abs=1e-12)
        (gradient,) = torch.autograd.grad(value, student)
        assert gradient.abs().max().item() < 1e-5


@pytest.mark.parametrize("loss", LOSSES)
def test_the_teacher_gets_no_gradient(loss):
    student, teacher = points(0).requires_grad_(), points(1).requires_grad_()
    loss(student, teacher).backward()
    assert student.grad is not None
    assert teacher.grad is None


@pytest.mark.parametrize(("loss", "direct"), DIRECT)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_that_are_one_do_not_push_each_other(loss, direct, dtype):
    """Far from round numbers, so that rounding makes something of their distance."""
    student, teacher = 30 * points(2, 6, 50).to(dtype), points(3, 6, 50).to(dtype)
    student[1] = student[4] = student[0]
    teacher[2] = teacher[5]
    got = loss(student.requires_grad_(), teacher)
    exact = student.detach().double().requires_grad_()
    want = direct(exact, teacher.double())
    torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=0)
    gradients = [torch.autograd.grad(*each)[0].double() for each in ((got, student), (want, exact))]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_collapsed_side_is_finite(loss, dtype):
    student, teacher = points(2, 1, 50).to(dtype).repeat(6, 1), points(3, 6, 50).to(dtype)
    value = loss(student.requires_grad_(), teacher)
    (gradient,) = torch.autograd.grad(value, student)
    assert value.isfinite()
    assert not gradient.any()
    other = loss(teacher.requires_grad_(), student)
    assert bool(torch.autograd.grad(other, teacher)[0].isfinite().all())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(loss, dtype):
    student, teacher = (100 * points(seed, 9, 16).to(dtype) for seed in (0, 1))
    student.requires_grad_()
    value = loss(student, teacher)
    with torch.autocast("cpu", torch.bfloat16):
        cast = loss(student.float(), teacher.float())
    assert value.dtype == cast.dtype == torch.float32
    exact = loss(student.double(), teacher.double())
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(cast, value)
    assert bool(torch.autograd.grad(value, student)[0].isfinite().all())


def test_far_from_the_origin_float32_is_enough():
    student, teacher = (points(6) + 1024).float(), points(7).float()
    for loss, direct in DIRECT:
        want = direct(student.double(), teacher.double())
        torch.testing.assert_close(loss(student, teacher).double(), want, rtol=1e-4, atol=1e-6)


def test_neither_differences_nor_triples_are_held():
    """Of 256 rows by 1024 either would take 64 MiB and 256 MiB."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        pytest.skip("the system does not tell peak memory")

    def read(field):
        return int(re.search(rf"{field}:\s*(\d+) kB", status.read_text())[1]) / 1024

    def act(count, width):
        student, teacher = torch.randn(2, count, width)
        rkd_loss(student.requires_grad_(), teacher).backward()

    act(8, 8)  # loads what is loaded lazily
    reset.write_text("5")
    before = read("VmRSS")
    act(256, 1024)
    assert read("VmHWM") - before < 32


@pytest.mark.parametrize("loss", LOSSES)
def test_torch_compile_sees_one_graph(loss):
    student, teacher = points(0).requires_grad_(), points(1)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    got, want = (f(student, teacher) for f in (compiled, loss))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(
        torch.autograd.grad(got, student), torch.autograd.grad(want, student)
    )


def test_nonsense_is_refused():
    three = points(0, 3)
    with pytest.raises(ValueError, match="student and teacher must have one number of rows"):
        rkd_loss(three, points(0, 4))
    with pytest.raises(ValueError, match="teacher must be a matrix"):
        rkd_distance_loss(three, three[:, 0])
    with pytest.raises(ValueError, match="rows must be at least 2, got 1"):
        rkd_distance_loss(three[:1], three[:1])
    for loss in (rkd_angle_loss, rkd_loss):
        with pytest.raises(ValueError, match="rows must be at least 3, got 2"):
            loss(three[:2], three[:2])
    with pytest.raises(ValueError, match="angle must be at least 0"):
        rkd_loss(three, three, angle=-1)
