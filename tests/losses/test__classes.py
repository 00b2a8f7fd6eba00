"""Classes and pairs against plain loops over the labels."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lookalike.losses._classes import classes_of, pairs_of

LABELS = st.lists(st.integers(-3, 4), max_size=14)


def slow_pairs(labels):
    """Walk through each class, two rows at a time."""
    rows = {label: [i for i, each in enumerate(labels) if each == label] for label in labels}
    return {pair for own in rows.values() for pair in zip(own[::2], own[1::2], strict=False)}


@given(labels=LABELS)
def test_rows_have_one_number_exactly_where_they_share_a_class(labels):
    first, size = classes_of(torch.tensor(labels, dtype=torch.int64))
    assert size.tolist() == [labels.count(label) for label in labels]
    for one, number in zip(labels, first.tolist(), strict=True):
        assert 0 <= number < len(labels)
        assert [other == one for other in labels] == (first == number).tolist()


@given(labels=LABELS)
def test_pairs_are_those_of_the_loop(labels):
    first, second, counted = pairs_of(torch.tensor(labels, dtype=torch.int64))
    assert len(first) == len(second) == len(counted) == len(labels) // 2
    found = list(zip(first[counted].tolist(), second[counted].tolist(), strict=True))
    assert set(found) == slow_pairs(labels)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("labels", "pairs"),
    [
        ([7], set()),
        ([7, 7, 7], {(0, 1)}),  # the third is left over, not paired with the first
        ([2, -1, 2, -1], {(0, 2), (1, 3)}),
        ([5, 6, 5, 5, 5], {(0, 2), (3, 4)}),
        ([1, 2, 3, 4], set()),
    ],
)
def test_pairs_by_hand(labels, pairs):
    first, second, counted = pairs_of(torch.tensor(labels))
    assert set(zip(first[counted].tolist(), second[counted].tolist(), strict=True)) == pairs
