"""Row sums of softplus against torch's own, held dense."""

import math
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from lookalike.losses._softplus import row_softplus
from lookalike.pairwise import similarity

SCALE = 1.5


def inputs(dtype=torch.float64, rows=9, columns=11, width=4):
    generator = torch.Generator().manual_seed(0)
    shapes = ((rows, width), (columns, width), (rows,))
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    labels = [torch.randint(3, (count,), generator=generator) for count in (rows, columns)]
    return [each.to(dtype).requires_grad_() for each in tensors], labels


def dense(rows, columns, offset, row_labels, column_labels, among, exclude_self):
    terms = torch.logaddexp(SCALE * rows @ columns.T + offset[:, None], rows.new_zeros(()))
    counts = (row_labels[:, None] == column_labels) == (among == "same")
    if exclude_self:
        counts = counts.clone().fill_diagonal_(False)
    return (terms * counts).sum(1)


def tiled(rows, columns, offset, row_labels, column_labels, among, exclude_self=False):
    return row_softplus(
        rows,
        columns,
        offset,
        scale=SCALE,
        row_labels=row_labels,
        column_labels=column_labels,
        among=among,
        exclude_self=exclude_self,
    )


@pytest.mark.parametrize("tile", [(4, 3), (512, 2048)])
@pytest.mark.parametrize("exclude_self", [True, False])
@pytest.mark.parametrize("among", ["same", "different"])
def test_value_and_gradient_are_the_dense_ones(among, exclude_self, tile, monkeypatch):
    monkeypatch.setattr(similarity, "CPU_TILE", tile)
    tensors, labels = inputs()
    weights = torch.linspace(-1, 2, 9, dtype=torch.float64)
    got, want = (f(*tensors, *labels, among, exclude_self) for f in (tiled, dense))
    torch.testing.assert_close(got, want)
    gradients = [torch.autograd.grad((each * weights).sum(), tensors) for each in (got, want)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_gradient_is_that_of_finite_differences():
    tensors, labels = inputs()
    assert torch.autograd.gradcheck(lambda *each: tiled(*each, *labels, "same"), tensors)


def test_rows_without_a_column_are_zero_and_get_no_gradient():
    tensors, _ = inputs()
    labels = torch.zeros(9, dtype=torch.int64), torch.zeros(11, dtype=torch.int64)
    result = tiled(*tensors, *labels, "different")
    assert not result.any()
    for gradient in torch.autograd.grad(result.sum(), tensors):
        assert not gradient.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_ends_are_straight_and_flat(dtype):
    """softplus(x) is x where x is large, and exp(x) where it is far below 0."""
    one, label = torch.zeros(1, 1, dtype=dtype), torch.zeros(1, dtype=torch.int64)
    for offset, want in ((1000.0, 1000.0), (-30.0, math.exp(-30)), (torch.finfo(dtype).min, 0.0)):
        got = tiled(one, one, torch.tensor([offset], dtype=dtype), label, label, "same")
        assert got.item() == pytest.approx(want, rel=1e-6)


def test_all_columns_at_once_are_those_of_torch():
    (rows, columns, offset), _ = inputs()
    label = torch.zeros(9, dtype=torch.int64), torch.zeros(11, dtype=torch.int64)
    want = F.softplus(SCALE * rows @ columns.T + offset[:, None], threshold=40).sum(1)
    torch.testing.assert_close(tiled(rows, columns, offset, *label, "same"), want)


def test_no_matrix_of_all_pairs_is_held():
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        pytest.skip("the system does not tell peak memory")

    def read(field):
        return int(re.search(rf"{field}:\s*(\d+) kB", status.read_text())[1]) * 1024

    def act(count):
        rows = torch.randn(count, 8, requires_grad=True)
        labels = torch.arange(count) // 4
        tiled(rows, rows, rows[:, 0], labels, labels, "same", exclude_self=True).sum().backward()

    act(8)  # loads what is loaded lazily
    reset.write_text("5")
    before = read("VmRSS")
    act(6144)
    assert read("VmHWM") - before < 6144 * 6144 * 4 / 4


def test_the_gradient_is_not_differentiated_again():
    tensors, labels = inputs()
    result = tiled(*tensors, *labels, "same").sum()
    (gradient,) = torch.autograd.grad(result, tensors[0], create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        gradient.sum().backward()


def test_torch_compile_sees_one_graph():
    tensors, labels = inputs()
    compiled = torch.compile(tiled, fullgraph=True, backend="aot_eager")
    got, want = (f(*tensors, *labels, "same") for f in (compiled, tiled))
    torch.testing.assert_close(got, want)
    gradients = [torch.autograd.grad(each.sum(), tensors) for each in (got, want)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
