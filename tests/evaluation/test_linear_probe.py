"""The linear probe against an independent optimum, and at the edges of little data."""

import numpy as np
import pytest
import torch

from lookalike.embeddings import Embeddings
from lookalike.evaluation.linear_probe import fit, linear_probe, logits, stratified_part


def embeddings(vectors, labels) -> Embeddings:
    vectors = np.asarray(vectors, dtype=np.float32)
    return Embeddings(vectors, ("",) * len(vectors), np.asarray(labels, dtype=np.int64))


def blobs(per_class: int, seed: int, *, classes: int = 3, width: int = 6, noise: float = 0.6):
    """Classes around fixed centres, the same for every seed."""
    centres = np.random.default_rng(99).normal(size=(classes, width))
    labels = np.repeat(np.arange(classes), per_class)
    random = np.random.default_rng(seed)
    return embeddings(centres[labels] + noise * random.normal(size=(len(labels), width)), labels)


@pytest.mark.parametrize("l2", [1e-3, 1e-1, 10.0])
def test_fit_reaches_the_optimum_of_plain_gradient_descent(l2):
    random = np.random.default_rng(0)
    features, targets = random.normal(size=(40, 5)), random.integers(0, 3, 40)
    weights, biases = np.zeros((5, 3)), np.zeros(3)

    def shares():
        powers = np.exp(features @ weights + biases)
        return powers / powers.sum(axis=1, keepdims=True)

    rate = 1 / (3 + l2)  # below the inverse of the curvature, so that every step goes down
    for _ in range(4000):
        error = (shares() - np.eye(3)[targets]) / 40
        weights -= rate * (features.T @ error + l2 * weights)
        biases -= rate * error.sum(axis=0)
    tensor = torch.from_numpy(features)
    found = fit(tensor, torch.from_numpy(targets), classes=3, l2=l2)
    np.testing.assert_allclose(logits(found, tensor).softmax(1), shares(), atol=2e-4)


def test_fit_satisfies_the_first_order_condition():
    """At the optimum, X^T (P - Y) / N + l2 W = 0 and the mean of P - Y is 0."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(200, 12, generator=generator)
    targets = torch.randint(0, 4, (200,), generator=generator)
    weights = fit(features, targets, classes=4, l2=0.01)
    error = logits(weights, features).softmax(1) - torch.eye(4)[targets]
    slope = features.T @ error / 200 + 0.01 * weights[:-1]
    assert slope.abs().max() < 1e-3
    assert error.mean(0).abs().max() < 1e-3


def test_separable_classes_are_told_apart():
    probe = linear_probe(blobs(30, 0, noise=0.1), blobs(20, 1, noise=0.1))
    assert probe.accuracy == 1.0


def test_scale_and_offset_of_channels_do_not_matter():
    train, queries = blobs(30, 2), blobs(30, 3)
    scale, offset = np.array([1e-3, 1, 1e3, 1, 1, 7]), np.array([0, 50, 0, -9, 0, 0])
    moved = [embeddings(each.vectors * scale + offset, each.labels) for each in (train, queries)]
    plain, other = linear_probe(train, queries), linear_probe(*moved)
    assert np.mean(plain.predictions == other.predictions) > 0.98


def test_constant_channels_say_nothing():
    train, queries = blobs(30, 4), blobs(30, 5)
    wide = [
        embeddings(np.c_[each.vectors, np.full((len(each), 2), 0.1)], each.labels)
        for each in (train, queries)
    ]
    wide[1].vectors[:, -1] = 1e6  # a channel that was constant in training may be anything later
    ours, theirs = linear_probe(train, queries), linear_probe(*wide)
    np.testing.assert_array_equal(ours.predictions, theirs.predictions)


def test_labels_of_noise_teach_nothing():
    """K2: on shuffled labels of 10 classes about 10 % of new images are right."""
    random = np.random.default_rng(6)
    train = embeddings(random.normal(size=(300, 8)), random.permutation(np.arange(300) % 10))
    queries = embeddings(random.normal(size=(1000, 8)), np.arange(1000) % 10)
    assert linear_probe(train, queries).accuracy == pytest.approx(0.1, abs=0.04)  # 4 deviations


def test_the_penalty_does_best_on_the_part_held_out():
    random = np.random.default_rng(7)
    train = embeddings(random.normal(size=(90, 40)), np.arange(90) % 3)
    train.vectors[:, :3] += np.eye(3)[train.labels]
    out = stratified_part(train.labels, share=0.2, seed=5)
    features = torch.from_numpy((train.vectors - train.vectors.mean(0)) / train.vectors.std(0))
    targets = torch.from_numpy(train.labels)
    right = {}
    for penalty in (10.0, 0.3, 1e-2, 1e-5):
        weights = fit(features[~out], targets[~out], classes=3, l2=penalty)
        right[penalty] = int((logits(weights, features[out]).argmax(1) == targets[out]).sum())
    assert len(set(right.values())) > 1
    chosen = linear_probe(train, train, penalties=tuple(right), seed=5).l2
    assert chosen == max(right, key=right.__getitem__)  # of equals the first, the strongest


def test_queries_choose_nothing():
    train, queries = blobs(20, 9), blobs(20, 10)
    lying = embeddings(queries.vectors, queries.labels[::-1].copy())
    honest, deceived = linear_probe(train, queries), linear_probe(train, lying)
    assert honest.l2 == deceived.l2
    np.testing.assert_array_equal(honest.predictions, deceived.predictions)


def test_the_same_seed_gives_the_same_numbers():
    train, queries = blobs(20, 11), blobs(20, 12)
    first, second = (linear_probe(train, queries, seed=3) for _ in range(2))
    assert first.l2 == second.l2
    np.testing.assert_array_equal(first.predictions, second.predictions)


def test_a_class_that_training_lacks_counts_as_wrong():
    train, queries = blobs(20, 13, noise=0.1), blobs(20, 14, noise=0.1)
    known = train.select(np.flatnonzero(train.labels != 1))
    assert linear_probe(known, queries).accuracy == pytest.approx(2 / 3)


def test_few_images_are_enough_to_say_something():
    train = embeddings([[1, 0], [0, 1]], [5, 9])
    probe = linear_probe(train, embeddings([[2, 0], [0, 2]], [5, 9]))
    np.testing.assert_array_equal(probe.predictions, [5, 9])
    one = linear_probe(embeddings([[1, 0]], [4]), embeddings([[0, 1], [1, 0]], [4, 2]))
    assert one.accuracy == 0.5


def test_unlabelled_images_neither_teach_nor_count():
    train, queries = blobs(20, 15, noise=0.1), blobs(5, 16, noise=0.1)
    train.labels[::2] = -1
    queries.labels[:3] = -1
    probe = linear_probe(train, queries)
    assert probe.accuracy == 1.0
    assert len(probe.predictions) == len(queries)


@pytest.mark.parametrize(
    ("train", "queries", "arguments", "message"),
    [
        (embeddings([[1, 0]], [-1]), embeddings([[1, 0]], [0]), {}, "no training image"),
        (embeddings([[1, 0]], [0]), embeddings([[1, 0, 0]], [0]), {}, "one width"),
        (embeddings([[1, 0]], [0]), embeddings([[np.inf, 0]], [0]), {}, "finite"),
        (embeddings([[1, 0]], [0]), embeddings([[1, 0]], [0]), {"held_out": 1.0}, "held_out"),
        (embeddings([[1, 0]], [0]), embeddings([[1, 0]], [0]), {"penalties": (0.0,)}, "penalty"),
    ],
)
def test_what_cannot_be_probed_is_said(train, queries, arguments, message):
    with pytest.raises(ValueError, match=message):
        linear_probe(train, queries, **arguments)


def test_a_stratified_part_takes_its_share_of_each_class():
    labels = np.array([0] * 20 + [1] * 3 + [2] + [3] * 8)
    drawn = stratified_part(labels, share=0.25, seed=0)
    np.testing.assert_array_equal(np.bincount(labels[drawn], minlength=4), [5, 1, 0, 2])
    assert (drawn == stratified_part(labels, share=0.25, seed=0)).all()
    assert (drawn != stratified_part(labels, share=0.25, seed=1)).any()
