"""Distances against differences taken one by one in float64."""

import pytest
import torch
from torch import Tensor

from lookalike.pairwise import distances
from lookalike.pairwise.distances import (
    PairTile,
    by_tiles,
    centred,
    pair_squares,
    root,
    tiles_of,
    widened,
)


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


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("tile", [1, 30, 2**18])
def test_tiles_hold_each_pair_and_backward_makes_them_again(
    tile: int, once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def near_and_far(pairs: PairTile, weight: float) -> Tensor:
        made.append(pairs.squares.numel())
        near, far = (pairs.squares.where(those, 0).sum(1) for those in pairs[1:3])
        return torch.stack([near, weight * far], dim=1)

    monkeypatch.setattr(distances, "CPU_TILE", tile)
    rows, labels = rows_of(5).requires_grad_(), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3])
    got = by_tiles(near_and_far, rows, labels, 3.0, once=once)
    squares, same = (rows[:, None] - rows).square().sum(2), labels[:, None] == labels
    near, far = ((squares * those).triu(1 if once else -9) for those in (same, ~same))
    torch.testing.assert_close(got, torch.stack([near.sum(1), 3 * far.sum(1)], dim=1))
    forward = len(made)
    assert max(made) == {1: 9, 30: 4 * 9, 2**18: 9 * 9}[tile]
    (gradient,) = torch.autograd.grad(got.sum(), rows)
    want = torch.autograd.grad(near.sum() + 3 * far.sum(), rows)[0]
    torch.testing.assert_close(gradient, want)
    assert len(made) == (2 * forward if forward > 1 else 1)


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


def test_a_root_of_nan_is_nan() -> None:
    """A NaN that became 0 would let a broken encoder train on to the end."""
    squares = torch.tensor([4.0, 0.0, torch.nan, torch.inf])
    want = torch.tensor([2.0, 0.0, torch.nan, torch.inf])
    torch.testing.assert_close(root(squares), want, rtol=0, atol=0, equal_nan=True)
