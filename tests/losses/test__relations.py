"""What the losses on a batch's relations share: what they cannot see, their tiles, their graph."""

import re
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses import _relations
from lookalike.losses._relations import pair_of, sum_over_rows
from lookalike.losses.correlation_congruence import correlation_congruence_loss
from lookalike.losses.pkt import pkt_loss
from lookalike.losses.similarity_preserving import similarity_preserving_loss

LOSSES = [similarity_preserving_loss, pkt_loss, correlation_congruence_loss]
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)


def points(seed=0, count=8, width=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=generator)


def both(loss, student, teacher):
    """Value and gradient."""
    student = student.detach().requires_grad_()
    value = loss(student, teacher)
    return value, torch.autograd.grad(value, student)[0]


@pytest.mark.parametrize("area", [1, 20, 2**20])
def test_the_sum_is_over_all_rows(area, monkeypatch):
    monkeypatch.setattr(_relations, "AREA", area)
    student, teacher = points(0).requires_grad_(), points(1, width=2)
    weights = points(2, 8, 8)  # tells each pair from every other

    def rate(ours, theirs, power):
        return (ours * theirs).pow(power).sum()

    got = sum_over_rows(rate, student, teacher, 2)
    want = ((student @ student.T) * (teacher @ teacher.T)).square().sum()
    torch.testing.assert_close(got, want)
    for one, other in zip(
        torch.autograd.grad(got, student), torch.autograd.grad(want, student), strict=True
    ):
        torch.testing.assert_close(one * weights[:, :3], other * weights[:, :3])


def test_a_pair_is_of_matrices_in_one_precision():
    maps, rows = torch.ones(2, 3, 4, dtype=torch.bfloat16), torch.ones(2, 5, requires_grad=True)
    student, teacher = pair_of(maps, rows)
    assert student.shape == (2, 12)
    assert student.dtype == teacher.dtype == torch.float32
    assert not teacher.requires_grad


@each_loss
@pytest.mark.parametrize("area", [1, 24])
def test_blocks_of_rows_are_the_whole(loss, area, monkeypatch):
    student, teacher = points(0), points(1, width=5)
    want = both(loss, student, teacher)
    monkeypatch.setattr(_relations, "AREA", area)
    torch.testing.assert_close(both(loss, student, teacher), want)


@each_loss
def test_gradient_is_that_of_finite_differences(loss):
    teacher = points(1, width=2)
    assert torch.autograd.gradcheck(lambda s: loss(s, teacher), points().requires_grad_())


@each_loss
@given(seed=st.integers(0, 2**31), scale=st.floats(1e-3, 1e3))
def test_rotation_scale_and_order_do_not_matter(loss, seed, scale):
    student, teacher = points(seed), points(seed + 1, width=5)
    want = pytest.approx(loss(student, teacher).item(), rel=1e-9, abs=1e-12)
    assert want.expected > 0
    rotation = torch.linalg.qr(points(seed + 2, 3))[0]
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    assert loss(scale * student, teacher).item() == want
    assert loss(student, scale * teacher).item() == want
    assert loss(student @ rotation, teacher).item() == want
    assert loss(student[order], teacher[order]).item() == want
    assert loss(F.pad(student, (2, 0)), teacher).item() == want


@each_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_relations_are_zero(loss, dtype):
    student = points().to(dtype)
    for teacher in (student, 4 * student, F.pad(student.flip(1), (0, 2))):
        value, gradient = both(loss, student, teacher)
        assert value.item() == pytest.approx(0, abs=1e-6)
        assert gradient.abs().max().item() < 1e-6


@each_loss
def test_the_teacher_gets_no_gradient(loss):
    student, teacher = points(0).requires_grad_(), points(1).requires_grad_()
    loss(student, teacher).backward()
    assert student.grad.any()
    assert teacher.grad is None


@each_loss
def test_one_row_has_nobody_to_be_like(loss):
    value, gradient = both(loss, points(0, 1), points(1, 1))
    assert value.item() == pytest.approx(0, abs=1e-15)
    assert gradient.abs().max().item() < 1e-12


@each_loss
def test_zero_opposite_and_equal_rows_are_finite(loss):
    student, teacher = points(2).float(), points(3).float()
    student[0] = 0
    student[2] = -student[1]
    student[4] = student[3]
    for ours, theirs in ((student, teacher), (teacher, student), (torch.zeros(8, 3), teacher)):
        value, gradient = both(loss, ours, theirs)
        assert value.isfinite()
        assert bool(gradient.isfinite().all())


@each_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(loss, dtype):
    student, teacher = (100 * points(seed, 9, 16).to(dtype) for seed in (0, 1))
    value, gradient = both(loss, student, teacher)
    exact = loss(student.double(), teacher.double())
    with torch.autocast("cpu", torch.bfloat16):
        cast = loss(student.float(), teacher.float())
    assert value.dtype == cast.dtype == torch.float32
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(cast, value)
    assert bool(gradient.isfinite().all())


@each_loss
def test_feature_maps_are_flattened(loss):
    student, teacher = points(0, 6, 2 * 4 * 4), points(1, 6, 3 * 2 * 2)
    want = loss(student, teacher)
    torch.testing.assert_close(loss(student.view(6, 2, 4, 4), teacher.view(6, 3, 2, 2)), want)


@each_loss
@pytest.mark.parametrize("area", [24, 2**20])
def test_torch_compile_sees_one_graph(loss, area, monkeypatch):
    monkeypatch.setattr(_relations, "AREA", area)
    student, teacher = points(0), points(1)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(both(compiled, student, teacher), both(loss, student, teacher))


@each_loss
def test_the_matrices_of_all_pairs_are_not_held(loss, monkeypatch):
    """Dense, each side has its products and what is made of them, forward and backward."""
    monkeypatch.setattr(_relations, "AREA", 2**18)
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        pytest.skip("the system does not tell peak memory")

    def read(field):
        return int(re.search(rf"{field}:\s*(\d+) kB", status.read_text())[1]) * 1024

    both(loss, torch.randn(600, 8), torch.randn(600, 8))  # loads what is loaded lazily
    reset.write_text("5")
    before = read("VmRSS")
    both(loss, torch.randn(4096, 8), torch.randn(4096, 8))
    assert read("VmHWM") - before < 3 * 4096 * 4096 * 4


@each_loss
def test_nonsense_is_refused(loss):
    with pytest.raises(ValueError, match="student and teacher must have one number of rows"):
        loss(points(0, 3), points(0, 4))
    with pytest.raises(ValueError, match="rows must be at least 1"):
        loss(points(0, 0), points(0, 0))
    with pytest.raises(ValueError, match="dimensions_of_teacher must be at least 2, got 1"):
        loss(points(), points()[:, 0])


def test_wrong_settings_are_named():
    loss = partial(correlation_congruence_loss, points(), points())
    with pytest.raises(ValueError, match="gamma"):
        loss(gamma=0)
    with pytest.raises(ValueError, match="order"):
        loss(order=0)
