"""An epoch's order: a permutation that anyone can find again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.data.order import batch_positions, epoch_order

MASK = 2**64 - 1


def split_mix(state: int) -> int:
    """Return SplitMix64's output for a state, in Python's exact integers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & MASK
    return state ^ (state >> 31)


@given(st.integers(0, 200), st.integers(0, 2**63), st.integers(0, 10**6))
def test_every_position_comes_once_in_the_order_of_its_key(
    count: int, seed: int, epoch: int
) -> None:
    start = split_mix(split_mix(seed) + epoch & MASK)
    keys = [split_mix(start + (i + 1) * 0x9E3779B97F4A7C15 & MASK) for i in range(count)]
    expected = sorted(range(count), key=keys.__getitem__)
    assert epoch_order(count, seed=seed, epoch=epoch).tolist() == expected


def test_orders_of_seeds_and_epochs_are_unrelated() -> None:
    orders = [epoch_order(1000, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1, 2)]
    for one in range(6):
        for other in range(one):
            # The rank correlation of independent orders has a deviation of 1 / sqrt(999).
            assert abs(np.corrcoef(orders[one], orders[other])[0, 1]) < 5 / np.sqrt(999)


def test_every_place_is_equally_likely_first() -> None:
    firsts = [epoch_order(4, seed=7, epoch=epoch)[0] for epoch in range(4000)]
    counts = np.bincount(firsts, minlength=4)
    assert ((counts - 1000) ** 2 / 1000).sum() < 16.3  # chi squared, 3 degrees: p = 0.001


@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_shares_of_all_ranks_are_the_global_batch(world: int) -> None:
    order = epoch_order(20, seed=0, epoch=0)
    for batch, expected in ((0, order[:6]), (2, order[12:18])):
        shares = [
            batch_positions(order, batch=batch, batch_size=6, rank=rank, world=world)
            for rank in range(world)
        ]
        np.testing.assert_array_equal(np.concatenate(shares), expected)


def test_the_last_batch_may_be_short() -> None:
    order = epoch_order(20, seed=0, epoch=0)
    assert len(batch_positions(order, batch=3, batch_size=6)) == 2
    with pytest.raises(ValueError, match="2 does not divide among 3"):
        batch_positions(order, batch=3, batch_size=6, rank=0, world=3)


@pytest.mark.parametrize(
    "wrong",
    [{"batch": 4}, {"batch": -1}, {"batch_size": 0}, {"rank": 2, "world": 2}, {"rank": -1}],
)
def test_what_is_not_there_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must|no batch"):
        batch_positions(epoch_order(20, seed=0, epoch=0), **{"batch": 0, "batch_size": 6} | wrong)
    with pytest.raises(ValueError, match="at least 0"):
        epoch_order(-1, seed=0, epoch=0)
