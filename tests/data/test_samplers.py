"""Epochs by class, identity and pair: what a batch holds, how often each comes, and no state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.data.order import epoch_order
from lookalike.data.pairs import Pairs
from lookalike.data.samplers import (
    SHUFFLED,
    Classes,
    Identities,
    Paired,
    appearances,
    class_order,
    identity_order,
    pair_order,
)

SIZES = st.lists(st.integers(1, 30), min_size=2, max_size=12)


def labels_of(sizes, unknown=0):
    """Labels that leave gaps, shuffled, some of them unknown."""
    labels = np.repeat(3 * np.arange(len(sizes)) + 1, sizes)
    labels = np.concatenate([labels, np.full(unknown, -1)]).astype(np.int64)
    return np.random.default_rng(0).permutation(labels)


def spread_of(counts):
    return max(counts) - min(counts)


@given(SIZES, st.integers(1, 9), st.integers(2, 12), st.integers(0, 5), st.integers(0, 2**40))
def test_a_batch_is_of_distinct_classes_with_some_images_of_each(sizes, each, count, unknown, seed):
    each, count = min(each, max(sizes)), min(count, len(sizes))
    labels = labels_of(sizes, unknown)
    order = class_order(labels, per_class=each, classes_per_batch=count, seed=seed, epoch=1)
    assert len(order) == max(sum(sizes) // (each * count), 1) * each * count
    groups = labels[order].reshape(-1, count, each)
    assert (groups == groups[:, :, :1]).all()
    assert groups.min() >= 0
    batches = groups[:, :, 0]
    assert all(len(set(batch)) == count for batch in batches.tolist())
    # Every round of classes has each of them once, across the borders of batches.
    classes = batches.ravel()
    for start in range(0, len(classes), len(sizes)):
        part = classes[start : start + len(sizes)].tolist()
        assert len(set(part)) == len(part)
    # Images of a class come in turn: no one twice before all have come once.
    for label in set(classes.tolist()):
        of_it = np.flatnonzero(labels == label)
        came = np.bincount(order[labels[order] == label], minlength=len(labels))[of_it]
        assert spread_of(came) <= 1
    for group in order.reshape(-1, each).tolist():
        assert len(set(group)) == min(each, int((labels == labels[group[0]]).sum()))


def test_equal_classes_that_fit_come_whole():
    """10 classes of 8, 5 x 4: an epoch is every image once."""
    labels = labels_of([8] * 10)
    order = class_order(labels, per_class=4, classes_per_batch=5, seed=0, epoch=0)
    assert sorted(order.tolist()) == list(range(80))


def test_an_order_is_that_of_its_seed_and_epoch():
    labels = labels_of([20] * 6)
    one, again, other_seed, other_epoch = (
        class_order(labels, per_class=4, classes_per_batch=3, seed=seed, epoch=epoch)
        for seed, epoch in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert (one == again).all()
    assert (one != other_seed).mean() > 0.9
    assert (one != other_epoch).mean() > 0.9


def test_every_class_is_equally_likely_to_come_in_a_batch_of_few():
    """3 classes, 2 a batch: the rounds that borders mend favour none, in any seat."""
    labels = labels_of([4, 4, 4])
    first = np.zeros((6, 3))
    for epoch in range(3000):
        order = class_order(labels, per_class=1, classes_per_batch=2, seed=5, epoch=epoch)
        seats = labels[order[:6]] // 3
        first[np.arange(6), seats] += 1
    squared = ((first - 1000) ** 2 / 1000).sum(axis=1)
    assert (squared < 13.8).all()  # chi squared, 2 degrees: p = 0.001


@pytest.mark.parametrize(
    ("sizes", "given", "said"),
    [
        ([5, 5], {"classes_per_batch": 3}, "at most the 2 classes there are, got 3"),
        ([5], {}, "at least 2 classes, got 1"),
        ([], {}, "at least 2 classes, got 0"),
        ([3, 2], {"per_class": 4}, "at most 3, the images of the largest class, got 4"),
        ([5, 5], {"per_class": 0}, "per_class must be at least 1"),
        ([5, 5], {"classes_per_batch": 1}, "classes_per_batch must be at least 2"),
        ([5, 5], {"seed": -1}, "at least 0"),
    ],
)
def test_batches_that_cannot_be_are_refused(sizes, given, said):
    asked = {"per_class": 2, "classes_per_batch": 2, "seed": 0, "epoch": 0} | given
    with pytest.raises(ValueError, match=said):
        class_order(labels_of(sizes, unknown=2), **asked)


@given(
    st.lists(st.integers(1, 30), min_size=3, max_size=12),
    st.integers(2, 9),
    st.integers(1, 3),
    st.integers(1, 20),
    st.integers(0, 2**40),
)
def test_identities_come_with_their_images_and_others_fill_the_batch(
    sizes, each, identities, others, seed
):
    labels = labels_of(sizes, unknown=3)
    size = identities * each + others
    asked = {"batch_size": size, "per_class": each, "identities": identities}
    spare = sorted(max(count - each, 0) for count in sizes)[-identities:]
    able = sum(count > 1 for count in sizes) >= identities and sum(sizes) - sum(spare) >= size
    if not able:
        with pytest.raises(ValueError, match=r"(identities|batch_size) must be at most"):
            identity_order(labels, **asked, seed=seed, epoch=0)
        return
    order = identity_order(labels, **asked, seed=seed, epoch=0)
    assert len(order) == sum(sizes) // size * size
    for batch in order.reshape(-1, size):
        assert len(set(batch.tolist())) == size
        names = labels[batch]
        assert names.min() >= 0
        at = 0
        chosen = []
        for _ in range(identities):
            count = min(int((labels == names[at]).sum()), each)
            assert count > 1
            assert (names[at : at + count] == names[at]).all()
            chosen.append(names[at])
            at += count
        assert len(set(chosen)) == identities
        assert not np.isin(names[at:], chosen).any()


def test_identities_fill_half_a_batch_if_nothing_is_said():
    labels = labels_of([50] * 30)
    order = identity_order(labels, batch_size=400, seed=0, epoch=0)
    for batch in order.reshape(-1, 400):
        counts = np.unique(labels[batch[:200]], return_counts=True)[1]
        assert counts.tolist() == [40] * 5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch_size": 8, "per_class": 4, "identities": 2}, "above 2 identities of 4 images"),
        ({"batch_size": 8, "per_class": 1}, "per_class must be at least 2"),
        ({"batch_size": 8, "per_class": 2, "identities": 0}, "identities must be at least 1"),
    ],
)
def test_identities_that_leave_no_room_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        identity_order(labels_of([5] * 5), **given, seed=0, epoch=0)


def test_pairs_come_each_once_with_their_halves_side_by_side():
    rows = pair_order(np.arange(7) % 2 == 0, seed=3, epoch=2).reshape(-1, 2)
    assert (rows[:, 1] == rows[:, 0] + 1).all()
    assert (rows[:, 0] // 2).tolist() == epoch_order(7, seed=3, epoch=2).tolist()


def test_balanced_pairs_take_turns_and_the_few_come_equally_often():
    similar = np.arange(100) < 7
    pairs = pair_order(similar, balanced=True, seed=0, epoch=0)[::2] // 2
    assert similar[pairs].tolist() == [True, False] * 50
    assert spread_of(np.bincount(pairs[::2], minlength=7)) == 1  # 50 = 7 * 7 + 1
    assert np.bincount(pairs[1::2]).max() == 1  # of the many, none twice
    again = pair_order(similar, balanced=True, seed=0, epoch=1)[::2] // 2
    assert set(again[1::2]) != set(pairs[1::2])


def test_pairs_of_one_kind_cannot_be_balanced():
    with pytest.raises(ValueError, match="both kinds to be balanced, got dissimilar"):
        pair_order(np.zeros(4, dtype=bool), balanced=True, seed=0, epoch=0)


@given(st.lists(st.integers(0, 5), max_size=30))
def test_appearances_count_what_came_before(values):
    expected = [values[:place].count(value) for place, value in enumerate(values)]
    assert appearances(np.array(values, dtype=np.int64)).tolist() == expected


@pytest.mark.parametrize("order", [SHUFFLED, Classes(4), Identities(4)], ids=str)
def test_every_epoch_has_as_many_images(order):
    labels = labels_of([9, 17, 4, 30, 12])
    laid = [order.lay_out(labels, batch_size=16, seed=1, epoch=epoch) for epoch in range(9)]
    assert len({len(each.positions) for each in laid}) == 1
    assert {each.similar for each in laid} == {None}


def test_orders_are_those_of_their_functions():
    labels, when = labels_of([9, 17, 4, 30, 12]), {"seed": 1, "epoch": 3}
    laid, _ = SHUFFLED.lay_out(labels, batch_size=16, **when)
    assert laid.tolist() == epoch_order(72, **when).tolist()
    laid, _ = Classes(4).lay_out(labels, batch_size=16, **when)
    same = class_order(labels, per_class=4, classes_per_batch=4, **when)
    assert laid.tolist() == same.tolist()
    laid, _ = Identities(4).lay_out(labels, batch_size=16, **when)
    same = identity_order(labels, batch_size=16, per_class=4, **when)
    assert laid.tolist() == same.tolist()
    with pytest.raises(ValueError, match="multiple of 4 images a class, got 18"):
        Classes(4).lay_out(labels, batch_size=18, **when)


TABLE = [(3, 1, True), (0, 4, False), (1, 4, True), (2, 0, False), (4, 3, True), (1, 2, True)]


def table(rows=TABLE):
    first, second, same = (np.array(column) for column in zip(*rows, strict=True))
    return Pairs(first, second, same, np.full(len(rows), -1))


def told(laid):
    """Return the rows that an epoch shows, as the table has them."""
    pairs = laid.positions.reshape(-1, 2).tolist()
    return [(*pair, alike) for pair, alike in zip(pairs, laid.similar.tolist(), strict=True)]


def test_pairs_of_a_table_come_as_it_tells_them():
    """Each once, image beside image with what is said of them, and otherwise in the next epoch."""
    order, labels = Paired(table(), balanced=False), np.full(5, -1)
    epochs = [told(order.lay_out(labels, batch_size=4, seed=2, epoch=epoch)) for epoch in range(2)]
    assert all(sorted(epoch) == sorted(TABLE) for epoch in epochs)
    assert epochs[0] != epochs[1]
    again = Paired(table(), balanced=False).lay_out(labels, batch_size=4, seed=2, epoch=1)
    assert told(again) == epochs[1]


def test_balanced_pairs_of_a_table_are_alike_in_turn():
    laid = Paired(table(), balanced=True).lay_out(np.zeros(5), batch_size=4, seed=2, epoch=0)
    assert laid.similar.tolist() == [True, False] * 3
    assert set(told(laid)) <= set(TABLE)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_a_table_knows_how_many_images_an_epoch_has(balanced, count):
    order = Paired(table(TABLE[:count]), balanced=balanced)
    laid = order.lay_out(np.zeros(5), batch_size=2, seed=0, epoch=0)
    assert order.images == len(laid.positions) == 2 * len(laid.similar)


def test_a_batch_ends_with_a_pair():
    with pytest.raises(ValueError, match="batch_size must be even, to hold whole pairs, got 5"):
        Paired(table(), balanced=False).lay_out(np.zeros(5), batch_size=5, seed=0, epoch=0)
