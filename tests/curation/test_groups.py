"""Groups are complete: every two of a group are alike, and a chain does not join its ends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.curation.groups import complete_groups


def grouped(table: np.ndarray, threshold: float, *, candidates: list[tuple[int, int]]):
    """Group by a whole table of scores, of which some pairs are candidates."""
    asked: list[tuple[int, int]] = []

    def score(pairs: np.ndarray) -> np.ndarray:
        asked.extend(map(tuple, pairs.tolist()))
        return table[tuple(pairs.T)]

    pairs = np.array(candidates, dtype=np.int64).reshape(-1, 2)
    scores = table[tuple(pairs.T)].astype(np.float32)
    return complete_groups(pairs, scores, threshold=threshold, score=score), asked


def table_of(count: int, values: dict[tuple[int, int], float]) -> np.ndarray:
    table = np.zeros((count, count))
    for (i, j), value in values.items():
        table[i, j] = table[j, i] = value
    return table


def test_a_chain_is_cut_where_its_ends_differ():
    table = table_of(3, {(0, 1): 0.95, (1, 2): 0.97, (0, 2): 0.2})
    groups, asked = grouped(table, 0.9, candidates=[(0, 1), (1, 2)])
    assert groups == [(1, 2)]  # the better pair stays
    assert asked == [(0, 2)]  # which nobody had compared


def test_pairs_that_were_no_candidates_are_scored_before_groups_join():
    every = dict.fromkeys(itertools.combinations(range(5), 2), 0.95)
    groups, asked = grouped(table_of(5, every), 0.9, candidates=[(0, 1), (1, 2), (2, 3), (3, 4)])
    assert groups == [(0, 1, 2, 3, 4)]
    assert len(asked) == len(set(asked)) == 10 - 4


def test_the_threshold_itself_counts():
    groups, _ = grouped(table_of(2, {(0, 1): 0.5}), 0.5, candidates=[(0, 1)])
    assert groups == [(0, 1)]
    assert grouped(table_of(2, {(0, 1): 0.499}), 0.5, candidates=[(0, 1)])[0] == []


def test_no_pair_no_group():
    assert grouped(np.zeros((0, 0)), 0.5, candidates=[]) == ([], [])


def slow(table: np.ndarray, threshold: float) -> list[tuple[int, ...]]:
    """Complete linkage over all pairs, looking at every pair of groups again each time."""
    groups = [{place} for place in range(len(table))]
    for i, j in sorted(
        itertools.combinations(range(len(table)), 2), key=lambda pair: (-table[pair], pair)
    ):
        one = next(group for group in groups if i in group)
        other = next(group for group in groups if j in group)
        if one is not other and all(table[a, b] >= threshold for a in one for b in other):
            groups.remove(other)
            one |= other
    return sorted(tuple(sorted(group)) for group in groups if len(group) > 1)


@given(st.integers(0, 10_000), st.integers(2, 9), st.sampled_from([0.3, 0.5, 0.8]))
def test_all_groups_are_complete_and_those_of_a_slow_loop(seed, count, threshold):
    random = np.random.default_rng(seed)
    table = np.round(random.random((count, count)), 1).astype(np.float32)
    table = np.maximum(table, table.T)
    every = list(itertools.combinations(range(count), 2))
    groups, _ = grouped(table, threshold, candidates=every)
    assert groups == slow(table, threshold)
    for group in groups:
        assert all(table[pair] >= threshold for pair in itertools.combinations(group, 2))
    places = [place for group in groups for place in group]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_the_pairs_does_not_matter(order):
    candidates = [(0, 1), (1, 2), (2, 3)]
    table = table_of(4, {(0, 1): 0.9, (1, 2): 0.95, (2, 3): 0.9})
    groups, _ = grouped(table, 0.8, candidates=[candidates[place] for place in order])
    assert groups == [(1, 2)]
