"""Distances against differences taken one by one in float64."""

import pytest
import torch
from torch import Tensor

from lookalike.distances import centred, pair_squares, root, tiles_of, widened


def rows_of(seed: int, rows: int = 9, width: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, dtype=torch.float64, generator=generator)


def test_squares_are_those_of_the_differences() -> None:
    rows, columns = rows_of(0), rows_of(1, rows=4)
    want = (rows[:, None] - columns).square().sum(2)
    torch.testing.assert_close(pair_squares(rows, columns, torch.float64), want)


def test_float32_rows_that_are_close_keep_their_digits() -> None:
    """What is taken in float32 has no digit left of a square of 1e-8 between rows of norm 2."""
    rows = (1 + 1e-4 * rows_of(2)).float()
    exact = rows.double()
    want = (exact[:, None] - exact).square().sum(2).float()
    got = pair_squares(widened(rows), widened(rows), torch.float32)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-13)


def test_centring_changes_no_distance_and_no_gradient() -> None:
    rows = (rows_of(3) + 50).requires_grad_()
    middle = centred(rows, normalise=False)
    torch.testing.assert_close(torch.pdist(middle), torch.pdist(rows))
    torch.testing.assert_close(
        torch.autograd.grad(torch.pdist(middle).sum(), rows)[0],
        torch.autograd.grad(torch.pdist(rows).sum(), rows)[0],
    )
    assert middle.norm(dim=1).max() < 10


def test_equal_rows_become_0_and_whole_numbers_stay_whole() -> None:
    assert not centred(torch.full((7, 3), 0.1), normalise=False).any()
    whole = centred(torch.arange(12).view(4, 3), normalise=False)
    assert whole.dtype == torch.float32
    assert torch.equal(whole, whole.round())


def test_normalised_rows_are_at_most_2_apart_and_a_zero_row_stays_finite() -> None:
    rows = rows_of(4)
    rows[2] = 0
    apart = torch.pdist(centred(rows, normalise=True))
    assert apart.max() <= 2
    assert apart.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype: torch.dtype) -> None:
    assert centred(torch.ones(3, 2, dtype=dtype), normalise=True).dtype == torch.float32


def test_the_root_is_torchs_and_its_gradient_at_0_is_0() -> None:
    squares = torch.tensor([0.0, 4.0, 9.0], requires_grad=True)
    roots = root(squares)
    assert roots.tolist() == [0, 2, 3]
    (gradient,) = torch.autograd.grad(roots.sum(), squares)
    torch.testing.assert_close(gradient, torch.tensor([0, 1 / 4, 1 / 6]))


@pytest.mark.parametrize("count", [1, 511, 513, 3000])
def test_tiles_cover_each_row_once(count: int) -> None:
    covered = list(tiles_of(torch.empty(count, 1)))
    assert [slice_.start for slice_ in covered[1:]] == [slice_.stop for slice_ in covered[:-1]]
    assert (covered[0].start, covered[-1].stop) == (0, count)


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (torch.ones(3), None, "embeddings must be a matrix"),
        (torch.ones(0, 3), None, "rows must be at least 1, got 0"),
        (torch.ones(2, 3), torch.ones(3), r"labels must have shape \(2,\), got \(3,\)"),
    ],
)
def test_wrong_arguments_are_named(rows: Tensor, labels: Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        centred(rows, labels, normalise=False)
