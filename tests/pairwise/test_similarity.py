"""The tiles must add up to the dense formula, in value, gradient and memory."""

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from lookalike.pairwise import similarity
from lookalike.pairwise.similarity import row_logsumexp, row_max, row_min, top_k, unit_rows

ROWS = torch.randn(11, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
COLUMNS = torch.randn(13, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
ROW_LABELS = torch.arange(11) % 3
COLUMN_LABELS = torch.arange(13) % 4  # label 3 is on no row
PAIRS = list(itertools.product((False, True), ("all", "same", "different")))


@pytest.fixture(params=[(3, 4), (512, 2048)], ids=["small tiles", "one tile"])
def tile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "CPU_TILE", request.param)


def counted(among: str, exclude_self: bool, row_labels: Tensor, column_labels: Tensor) -> Tensor:
    """(N, M) whether a pair counts, pair by pair."""
    count = torch.empty(len(row_labels), len(column_labels), dtype=torch.bool)
    for i, row in enumerate(row_labels.tolist()):
        for j, column in enumerate(column_labels.tolist()):
            wanted = {"all": True, "same": row == column, "different": row != column}[among]
            count[i, j] = wanted and not (exclude_self and i == j)
    return count


def near(actual: Tensor, expected: Tensor, tolerance: float = 1e-12) -> bool:
    return bool((actual - expected).norm() <= tolerance * expected.norm())


@pytest.mark.usefixtures("tile")
@pytest.mark.parametrize(("exclude_self", "among"), PAIRS)
def test_logsumexp_of_rows_and_columns_is_the_dense_one(exclude_self: bool, among: str) -> None:
    rows, columns = ROWS.clone().requires_grad_(), COLUMNS.clone().requires_grad_()
    actual = row_logsumexp(
        rows,
        columns,
        scale=1.7,
        exclude_self=exclude_self,
        row_labels=ROW_LABELS,
        column_labels=COLUMN_LABELS,
        among=among,
    )
    count = counted(among, exclude_self, ROW_LABELS, COLUMN_LABELS)
    expected = (rows @ columns.T * 1.7).masked_fill(~count, -math.inf).logsumexp(1)
    assert near(actual, expected)
    weights = torch.linspace(-1, 2, 11, dtype=torch.float64)
    for got, want in zip(
        torch.autograd.grad(actual @ weights, (rows, columns)),
        torch.autograd.grad(expected @ weights, (rows, columns)),
        strict=True,
    ):
        assert near(got, want)


@pytest.mark.usefixtures("tile")
@pytest.mark.parametrize("bound", [1.0, math.inf], ids=["by symmetry", "by rows"])
@pytest.mark.parametrize(("exclude_self", "among"), PAIRS)
def test_logsumexp_of_rows_with_each_other_is_the_dense_one(
    exclude_self: bool, among: str, bound: float
) -> None:
    rows = unit_rows(ROWS).requires_grad_()
    actual = row_logsumexp(
        rows,
        scale=5.0,
        exclude_self=exclude_self,
        row_labels=ROW_LABELS,
        among=among,
        bound=bound,
    )
    count = counted(among, exclude_self, ROW_LABELS, ROW_LABELS)
    expected = (rows @ rows.T * 5.0).masked_fill(~count, -math.inf).logsumexp(1)
    assert near(actual, expected)
    weights = torch.linspace(-1, 2, 11, dtype=torch.float64)
    (got,) = torch.autograd.grad(actual @ weights, rows)
    (want,) = torch.autograd.grad(expected @ weights, rows)
    assert near(got, want)


def test_rows_may_have_other_labels_as_columns() -> None:
    rows, other = unit_rows(ROWS), torch.arange(11) % 4
    actual = row_logsumexp(
        rows, row_labels=ROW_LABELS, column_labels=other, among="same", bound=1.0
    )
    count = counted("same", False, ROW_LABELS, other)
    assert near(actual, (rows @ rows.T).masked_fill(~count, -math.inf).logsumexp(1))


@pytest.mark.usefixtures("tile")
@pytest.mark.parametrize("bound", [1.0, math.inf])
def test_logsumexp_gradient_is_that_of_finite_differences(bound: float) -> None:
    def of_rows(rows: Tensor) -> Tensor:
        return row_logsumexp(rows, scale=2.0, exclude_self=True, bound=bound)

    def of_both(rows: Tensor, columns: Tensor) -> Tensor:
        return row_logsumexp(rows, columns, scale=2.0)

    rows, columns = unit_rows(ROWS).requires_grad_(), COLUMNS.clone().requires_grad_()
    assert gradcheck(of_rows, (rows,))
    assert gradcheck(of_both, (rows, columns))
    assert gradcheck(of_both, (rows, columns.detach()))
    assert gradcheck(of_both, (rows.detach(), columns))


@pytest.mark.parametrize("bound", [1.0, math.inf])
def test_a_row_without_columns_gets_no_gradient(bound: float) -> None:
    rows = unit_rows(ROWS[:4]).requires_grad_()
    labels = torch.tensor([0, 0, 1, 2])  # the last two have no one of their own label
    value = row_logsumexp(rows, row_labels=labels, among="same", exclude_self=True, bound=bound)
    assert value[2:].tolist() == [-math.inf] * 2
    (gradient,) = torch.autograd.grad(value.sum(), rows)
    assert gradient[2:].tolist() == [[0.0] * 5] * 2
    assert bool(gradient[:2].any())


@pytest.mark.parametrize("scale", [39.9, 40.1, 1e4])
def test_sharp_softmax_neither_overflows_nor_underflows(scale: float) -> None:
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    value = row_logsumexp(rows, scale=scale, exclude_self=True, bound=1.0)
    # the cosines are -1 and 0 to the first two rows, 0 and 0 to the last
    assert value.tolist() == pytest.approx([math.log1p(math.exp(-scale))] * 2 + [math.log(2)])
    (gradient,) = torch.autograd.grad(value.sum(), rows)
    assert bool(gradient.isfinite().all())


def test_large_vectors_do_not_overflow() -> None:
    rows = torch.tensor([[300.0, 0.0], [0.0, 300.0]])
    assert row_logsumexp(rows).tolist() == pytest.approx([9e4, 9e4])


def test_float32_is_near_float64() -> None:
    rows = unit_rows(torch.randn(600, 32, dtype=torch.float64)).requires_grad_()
    for bound in (1.0, math.inf):
        exact = row_logsumexp(rows, scale=10.0, exclude_self=True, bound=bound)
        single = row_logsumexp(rows.float(), scale=10.0, exclude_self=True, bound=bound)
        assert single.dtype == torch.float32
        assert near(single.double(), exact, 1e-6)
        (want,) = torch.autograd.grad(exact.sum(), rows)
        (got,) = torch.autograd.grad(single.sum(), rows)
        assert near(got, want, 1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_leaves_the_arithmetic_in_float32(dtype: torch.dtype) -> None:
    rows, columns = unit_rows(ROWS.float()).requires_grad_(), COLUMNS.float()
    plain = row_logsumexp(rows, columns, scale=9.0)
    (want,) = torch.autograd.grad(plain.sum(), rows)
    with torch.autocast("cpu", dtype=dtype):
        cast = row_logsumexp(rows, columns, scale=9.0)
        (got,) = torch.autograd.grad(cast.sum(), rows)
        largest, _ = top_k(rows, columns, 1)
        assert near(row_max(rows, columns).double(), row_max(rows.double(), columns), 1e-6)
    assert torch.equal(largest, top_k(rows, columns, 1)[0])
    assert torch.equal(plain, cast)
    assert torch.equal(want, got)
    assert row_logsumexp(rows.to(dtype), columns.to(dtype)).dtype == torch.float32


@pytest.mark.usefixtures("tile")
@pytest.mark.parametrize(("exclude_self", "among"), PAIRS)
def test_extremes_are_the_dense_ones(exclude_self: bool, among: str) -> None:
    rows, columns = ROWS.clone().requires_grad_(), COLUMNS.clone().requires_grad_()
    count = counted(among, exclude_self, ROW_LABELS, COLUMN_LABELS)
    products = rows @ columns.T
    for extreme, dense in (
        (row_max, products.masked_fill(~count, -math.inf).amax(1)),
        (row_min, products.masked_fill(~count, math.inf).amin(1)),
    ):
        actual = extreme(
            rows,
            columns,
            exclude_self=exclude_self,
            row_labels=ROW_LABELS,
            column_labels=COLUMN_LABELS,
            among=among,
        )
        assert near(actual, dense)
        for got, want in zip(
            torch.autograd.grad(actual.sum(), (rows, columns)),
            torch.autograd.grad(dense.sum(), (rows, columns), retain_graph=True),
            strict=True,
        ):
            assert near(got, want)


@pytest.mark.usefixtures("tile")
def test_the_largest_below_a_limit() -> None:
    products = unit_rows(ROWS) @ unit_rows(ROWS).T
    limits = torch.linspace(-1.2, 1.2, 11, dtype=torch.float64)
    actual = row_max(unit_rows(ROWS), below=limits)
    for row, limit, value in zip(products.tolist(), limits.tolist(), actual.tolist(), strict=True):
        assert value == pytest.approx(max((x for x in row if x < limit), default=-math.inf))


def test_extremes_without_candidates_get_no_gradient() -> None:
    rows = ROWS[:2].clone().requires_grad_()
    for extreme, empty in ((row_max, -math.inf), (row_min, math.inf)):
        value = extreme(rows, exclude_self=True, row_labels=torch.tensor([0, 1]), among="same")
        assert value.tolist() == [empty] * 2
        assert not torch.autograd.grad(value.sum(), rows)[0].any()


def test_nan_is_not_hidden() -> None:
    rows = ROWS.clone()
    rows[3] = math.nan
    assert bool(row_max(rows)[3].isnan())
    assert bool(row_logsumexp(rows)[3].isnan())
    assert bool(row_logsumexp(rows, bound=1.0)[3].isnan())


def test_squared_distance_is_a_product_of_wider_vectors() -> None:
    rows = torch.cat([2 * ROWS, -ROWS.square().sum(1, True), -torch.ones(11, 1)], dim=1)
    columns = torch.cat([COLUMNS, torch.ones(13, 1), COLUMNS.square().sum(1, True)], dim=1)
    nearest = torch.cdist(ROWS, COLUMNS).square().amin(1)
    assert near(-row_max(rows, columns), nearest)


@pytest.mark.parametrize("shape", [(3, 4), (512, 32_768)], ids=["small tiles", "one tile"])
@pytest.mark.parametrize("exclude_self", [False, True])
def test_top_k_is_a_sort(
    exclude_self: bool, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "TOP_K_TILE", shape)
    products = (ROWS @ COLUMNS.T).tolist()
    values, positions = top_k(ROWS, COLUMNS, 6, exclude_self=exclude_self)
    for i, row in enumerate(products):
        order = sorted(range(13), key=lambda j: -row[j])
        order = [j for j in order if not (exclude_self and i == j)][:6]
        assert positions[i].tolist() == order
        assert values[i].tolist() == pytest.approx([row[j] for j in order])


def test_top_k_leaves_out_oneself_and_not_ones_copy() -> None:
    twins = unit_rows(ROWS[[0, 1, 1]])
    _, positions = top_k(twins, twins, 1, exclude_self=True)
    assert positions[1:, 0].tolist() == [2, 1]


def test_top_k_carries_no_gradient() -> None:
    values, _ = top_k(ROWS.clone().requires_grad_(), COLUMNS, 2)
    assert not values.requires_grad


@given(seed=st.integers(0, 2**31), rows=st.integers(1, 9), columns=st.integers(1, 9))
def test_a_permutation_of_columns_changes_nothing(seed: int, rows: int, columns: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(n, 3, dtype=torch.float64, generator=generator) for n in (rows, columns))
    shuffled = b[torch.randperm(columns, generator=generator)]
    assert torch.allclose(row_logsumexp(a, b), row_logsumexp(a, shuffled))
    assert torch.equal(row_max(a, b), row_max(a, shuffled))
    assert torch.allclose(top_k(a, b, columns)[0], top_k(a, shuffled, columns)[0])


def test_unit_rows() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    unit = unit_rows(vectors)
    assert unit.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
    (gradient,) = torch.autograd.grad(unit[:, 0].sum(), vectors)
    # d(x / |x|) / dx = (I - u u.T) / |x|, first row: (1 - 0.36, -0.48) / 5
    assert gradient.tolist() == [[pytest.approx(0.128), pytest.approx(-0.096)], [0.0, 0.0]]
    assert unit_rows(vectors.bfloat16()).dtype == torch.float32
    assert gradcheck(unit_rows, (ROWS.clone().requires_grad_(),))


@pytest.mark.parametrize(
    "reduce",
    [
        lambda rows: row_logsumexp(rows, scale=10.0, bound=1.0),
        lambda rows: row_logsumexp(rows[::2].detach(), rows),
        lambda rows: row_max(rows[::2].detach(), rows),
    ],
    ids=["by symmetry", "by rows", "largest"],
)
def test_no_matrix_of_all_pairs_is_held(reduce: Callable[[Tensor], Tensor]) -> None:
    rows = unit_rows(torch.randn(8192, 16)).requires_grad_()
    reduce(rows[:8]).sum().backward()  # loads what is loaded lazily
    dense = 4096 * 8192 * 4
    assert peak_memory(lambda: reduce(rows).sum().backward()) < dense / 4


def peak_memory(action: Callable[[], object]) -> int:
    """Return the bytes by which this process grew at most while it acted."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        pytest.skip("the system does not tell peak memory")

    def read(field: str) -> int:
        return int(re.search(rf"{field}:\s*(\d+) kB", status.read_text())[1]) * 1024

    reset.write_text("5")
    before = read("VmRSS")
    action()
    return read("VmHWM") - before


def test_torch_compile_sees_one_graph() -> None:
    def loss(rows: Tensor, columns: Tensor, labels: Tensor) -> Tensor:
        near = row_logsumexp(rows, scale=3.0, exclude_self=True, bound=1.0)
        far = row_logsumexp(rows, columns, scale=3.0)
        return (near + far - row_max(rows, row_labels=labels, among="different")).sum()

    rows, columns = ROWS.clone().requires_grad_(), COLUMNS.clone().requires_grad_()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    actual, expected = (f(rows, columns, ROW_LABELS) for f in (compiled, loss))
    assert near(actual, expected)
    for got, want in zip(
        torch.autograd.grad(actual, (rows, columns)),
        torch.autograd.grad(expected, (rows, columns)),
        strict=True,
    ):
        assert near(got, want)


@pytest.mark.parametrize(("columns", "labels"), [(None, ROW_LABELS), (COLUMNS, COLUMN_LABELS)])
def test_operators_keep_torchs_contract(columns: Tensor | None, labels: Tensor) -> None:
    rows = unit_rows(ROWS).requires_grad_()
    pairs = (rows, columns, ROW_LABELS, labels, "different", True)
    contract = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.lookalike.row_logsumexp, (*pairs, 2.0), test_utils=contract)
    if columns is not None:
        torch.library.opcheck(torch.ops.lookalike.row_argmax, (*pairs, None), test_utils=contract)


def test_a_second_derivative_is_refused() -> None:
    rows = ROWS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(row_logsumexp(rows).sum(), rows, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        gradient.sum().backward()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: row_logsumexp(ROWS[0]), "rows must be a matrix"),
        (lambda: row_logsumexp(ROWS, COLUMNS[:, :4]), "must have one width"),
        (lambda: row_logsumexp(ROWS, among="same"), "needs row_labels"),
        (lambda: row_max(ROWS, among="other"), "among must be one of"),
        (lambda: row_max(ROWS, row_labels=COLUMN_LABELS, among="same"), r"shape \(11,\)"),
        (lambda: row_min(ROWS, COLUMNS, row_labels=ROW_LABELS, among="same"), r"shape \(13,\)"),
        (lambda: top_k(ROWS, COLUMNS, 14), r"k must be in \[1, 13\], got 14"),
        (lambda: top_k(ROWS, ROWS, 11, exclude_self=True), r"k must be in \[1, 10\]"),
        (lambda: top_k(ROWS, ROWS, 0), r"got 0"),
    ],
)
def test_wrong_arguments_are_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
