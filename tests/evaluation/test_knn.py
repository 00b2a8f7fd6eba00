"""Weighted neighbours against a slow loop, and what must not change the vote."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.embeddings import Embeddings
from lookalike.evaluation.knn import (
    accuracy,
    knn_accuracy,
    knn_votes,
    leave_one_out_accuracy,
    leave_one_out_votes,
)


def embeddings(vectors, labels) -> Embeddings:
    vectors = np.asarray(vectors, dtype=np.float32)
    return Embeddings(vectors, ("",) * len(vectors), np.asarray(labels, dtype=np.int64))


def random_embeddings(count: int, seed: int, *, classes: int = 4, width: int = 8) -> Embeddings:
    random = np.random.default_rng(seed)
    return embeddings(random.normal(size=(count, width)), random.integers(0, classes, count))


def slow_shares(bank, query, *, k, temperature, leave_out=None):
    """One query, one neighbour at a time, in Python's own doubles."""
    found = []
    for position, (vector, label) in enumerate(zip(bank.vectors, bank.labels, strict=True)):
        if label < 0 or position == leave_out:
            continue
        dot = math.fsum(float(a) * float(b) for a, b in zip(query, vector, strict=True))
        cosine = dot / (math.hypot(*map(float, query)) * math.hypot(*map(float, vector)))
        found.append((cosine, int(label)))
    votes = {int(label): 0.0 for label in bank.labels if label >= 0}
    for cosine, label in sorted(found, reverse=True)[:k]:
        votes[label] += math.exp(cosine / temperature)
    total = math.fsum(votes.values())
    return [votes[label] / total for label in sorted(votes)]


@pytest.mark.parametrize("k", [1, 7, 30, 1000])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_votes_are_those_of_a_slow_loop(k, temperature):
    bank, queries = random_embeddings(30, 0), random_embeddings(11, 1)
    votes = knn_votes(bank, queries, k=k, temperature=temperature)
    expected = [slow_shares(bank, q, k=k, temperature=temperature) for q in queries.vectors]
    np.testing.assert_allclose(votes.shares, expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(votes.predictions, np.argmax(expected, axis=1))


def test_leaving_one_out_is_a_slow_loop_without_the_image_itself():
    images = random_embeddings(25, 2)
    votes = leave_one_out_votes(images, k=5, temperature=0.2)
    expected = [
        slow_shares(images, query, k=5, temperature=0.2, leave_out=position)
        for position, query in enumerate(images.vectors)
    ]
    np.testing.assert_allclose(votes.shares, expected, rtol=1e-4, atol=1e-7)


def test_nearest_neighbour_of_a_bank_image_is_itself():
    bank = random_embeddings(50, 3)
    assert knn_accuracy(bank, bank, k=1) == 1.0


def test_leaving_one_out_lets_an_exact_copy_vote():
    images = embeddings([[1, 0], [1, 0], [0, 1], [0, 1]], [0, 0, 1, 2])
    votes = leave_one_out_votes(images, k=1)
    np.testing.assert_array_equal(votes.predictions, [0, 0, 2, 1])
    assert leave_one_out_accuracy(images, k=1) == 0.5


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 12), copies=st.booleans())
def test_the_order_of_the_bank_has_no_effect(seed, k, copies):
    bank, queries = random_embeddings(12, seed, width=3), random_embeddings(5, seed + 1, width=3)
    if copies:  # every vector twice, under two labels: the edge of the vote is contested
        bank = embeddings(np.tile(bank.vectors, (2, 1)), np.r_[bank.labels, bank.labels[::-1]])
    turned = bank.select(np.random.default_rng(seed).permutation(len(bank)))
    ours, theirs = (knn_votes(each, queries, k=k) for each in (bank, turned))
    np.testing.assert_allclose(ours.shares, theirs.shares, atol=1e-5)
    np.testing.assert_array_equal(ours.predictions, theirs.predictions)


def test_infinite_temperature_is_a_majority_vote():
    bank, queries = random_embeddings(40, 4), random_embeddings(9, 5)
    votes = knn_votes(bank, queries, k=7, temperature=math.inf)
    lengths = np.linalg.norm(bank.vectors, axis=1)
    nearest = np.argsort(-(queries.vectors @ bank.vectors.T) / lengths, axis=1)[:, :7]
    expected = [[(bank.labels[row] == label).mean() for label in range(4)] for row in nearest]
    np.testing.assert_allclose(votes.shares, expected, atol=1e-6)


def test_a_copy_in_the_bank_doubles_its_weight():
    bank = embeddings([[1, 0], [0, 1]], [0, 1])
    query = embeddings([[1, 1]], [0])
    twice = embeddings([[1, 0], [0, 1], [0, 1]], [0, 1, 1])
    np.testing.assert_allclose(knn_votes(bank, query, k=9).shares, [[1 / 2, 1 / 2]], atol=1e-6)
    np.testing.assert_allclose(knn_votes(twice, query, k=9).shares, [[1 / 3, 2 / 3]], atol=1e-6)


def test_images_that_tie_share_the_last_seats():
    bank = embeddings([[1, 0], [0, 1], [0, 1], [0, 1]], [0, 1, 2, 2])
    query = embeddings([[1, 0]], [0])
    shares = knn_votes(bank, query, k=2, temperature=math.inf).shares
    np.testing.assert_allclose(shares, [[1 / 2, 1 / 6, 2 / 6]], atol=1e-6)


def test_of_classes_with_equal_votes_the_lowest_is_named():
    bank = embeddings([[0, 1], [1, 0]], [7, 3])
    votes = knn_votes(bank, embeddings([[1, 1]], [7]), k=2)
    np.testing.assert_array_equal(votes.predictions, [3])


def test_collapsed_vectors_vote_for_the_commonest_class():
    bank = embeddings(np.ones((9, 4)), [0, 1, 1, 1, 1, 2, 2, 2, 0])
    votes = knn_votes(bank, embeddings(np.ones((2, 4)), [0, 0]), k=3)
    np.testing.assert_allclose(votes.shares, [[2 / 9, 4 / 9, 3 / 9]] * 2, atol=1e-6)


def test_labels_beyond_float_precision_stay_apart():
    huge = 2**24
    bank = embeddings(np.eye(4), [huge, huge + 1, 2**53, 2**53 + 1])
    votes = knn_votes(bank, bank, k=1)
    np.testing.assert_array_equal(votes.predictions, bank.labels)
    assert knn_accuracy(bank, embeddings(np.eye(4), bank.labels[[1, 0, 3, 2]]), k=1) == 0.0


def test_unlabelled_images_neither_vote_nor_count():
    bank = embeddings([[1, 0], [0, 1]], [-1, 1])
    queries = embeddings([[1, 0], [1, 0], [0, 1]], [-1, 1, 0])
    assert knn_accuracy(bank, queries, k=1) == 0.5


def test_low_temperatures_and_zero_vectors_stay_finite():
    bank = embeddings([[1, 0], [0, 1], [0, 0]], [0, 1, 1])
    votes = knn_votes(bank, embeddings([[1, 0], [0, 0]], [0, 0]), k=3, temperature=1e-4)
    np.testing.assert_allclose(votes.shares, [[1, 0], [1 / 3, 2 / 3]], atol=1e-6)


@pytest.mark.parametrize(
    ("bank", "queries", "arguments", "message"),
    [
        (random_embeddings(3, 0), random_embeddings(2, 0, width=5), {"k": 1}, "one width"),
        (random_embeddings(3, 0), random_embeddings(2, 0), {"k": 0}, "k must be at least 1"),
        (
            random_embeddings(3, 0),
            random_embeddings(2, 0),
            {"k": 1, "temperature": 0},
            "temperature",
        ),
        (embeddings([[1, 0]], [-1]), embeddings([[1, 0]], [0]), {"k": 1}, "no image of the bank"),
        (embeddings([[1, 0]], [0]), embeddings([[np.nan, 0]], [0]), {"k": 1}, "queries.*finite"),
        (
            embeddings([[1, 0]], [0]),
            embeddings([[1, 0]], [-1]),
            {"k": 1},
            "queries must be at least",
        ),
    ],
)
def test_what_cannot_vote_is_said(bank, queries, arguments, message):
    with pytest.raises(ValueError, match=message):
        knn_accuracy(bank, queries, **arguments)


def test_leaving_one_out_needs_another():
    with pytest.raises(ValueError, match="2 labelled images"):
        leave_one_out_votes(embeddings([[1, 0], [0, 1]], [0, -1]), k=1)


def test_accuracy_wants_pairs():
    with pytest.raises(ValueError, match="as many predictions"):
        accuracy(np.zeros(2, dtype=np.int64), np.zeros(3, dtype=np.int64))
