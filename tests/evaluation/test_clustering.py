"""Scores against scikit-learn, pairs counted one by one and closed forms; groups that are plain."""

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from lookalike.embeddings import Embeddings
from lookalike.errors import LookalikeError
from lookalike.evaluation import clustering as module
from lookalike.evaluation.clustering import cluster, compare_with_labels

METHODS = {
    "kmeans": {"clusters": 3},
    "agglomerative": {"clusters": 3},
    "agglomerative by distance": {"distance": 0.3},
    "hdbscan": {"smallest": 4},
}


def embeddings(vectors) -> Embeddings:
    vectors = np.asarray(vectors, dtype=np.float32)
    return Embeddings(vectors, ("",) * len(vectors), np.full(len(vectors), -1))


def bunches(sizes, seed: int = 0, width: int = 8):
    """Vectors about as many axes, of any length, and the number of their axis."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    vectors = np.eye(width)[labels] + 0.05 * random.normal(size=(len(labels), width))
    return embeddings(vectors * random.uniform(0.1, 10, (len(labels), 1))), labels


@pytest.mark.parametrize("name", METHODS)
def test_plain_groups_are_found_and_numbered_by_size(name):
    images, labels = bunches([9, 25, 16])
    found = cluster(images, method=name.partition(" ")[0], **METHODS[name])
    np.testing.assert_array_equal(found, np.array([2, 0, 1])[labels])


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_images_does_not_matter(name):
    images, _ = bunches([9, 25, 16])
    order = np.random.default_rng(1).permutation(50)
    options = {"method": name.partition(" ")[0], **METHODS[name]}
    np.testing.assert_array_equal(
        cluster(images.select(order), **options), cluster(images, **options)[order]
    )


def test_equal_groups_are_numbered_by_their_first_image():
    images = embeddings([[0, 1], [1, 0], [0, 2], [3, 0]])
    np.testing.assert_array_equal(cluster(images, clusters=2), [0, 1, 0, 1])


def test_what_lies_between_dense_groups_is_in_none():
    images, labels = bunches([30, 20])
    lone = np.full((1, 8), -1.0, np.float32)  # farther from both than they are from each other
    found = cluster(embeddings([*images.vectors, *lone]), method="hdbscan")
    np.testing.assert_array_equal(found, [*labels, -1])


def test_agglomeration_stops_at_a_cosine_distance():
    """Neighbours at 20 degrees are 0.06 apart; the pairs are 0.36 apart on average."""
    angles = np.radians([0, 20, 60, 80])
    images = embeddings(np.stack([np.cos(angles), np.sin(angles)], 1))
    pairs = [1 - np.cos(b - a) for a, b in itertools.product(angles[:2], angles[2:])]
    between = float(np.mean(pairs))
    for distance, expected in (
        (0.05, [0, 1, 2, 3]),
        (between - 0.01, [0, 0, 1, 1]),
        (between + 0.01, [0, 0, 0, 0]),
    ):
        found = cluster(images, method="agglomerative", distance=distance)
        np.testing.assert_array_equal(found, expected)


def test_the_same_seed_gives_the_same_clusters():
    images = embeddings(np.random.default_rng(0).normal(size=(80, 5)))
    first = cluster(images, clusters=7, seed=3)
    np.testing.assert_array_equal(cluster(images, clusters=7, seed=3), first)
    assert not np.array_equal(cluster(images, clusters=7, seed=4), first)


@pytest.mark.parametrize("name", ["agglomerative", "agglomerative by distance", "hdbscan"])
def test_equal_and_zero_vectors_are_grouped(name):
    options = {**METHODS[name], **({"clusters": 2} if name == "agglomerative" else {})}
    vectors = [[1.0, 0]] * 6 + [[0.0, 0]] * 5
    found = cluster(embeddings(vectors), method=name.partition(" ")[0], **options)
    np.testing.assert_array_equal(found, [0] * 6 + [1] * 5)


def test_one_image_is_one_cluster_or_none():
    one = embeddings([[1, 2]])
    np.testing.assert_array_equal(cluster(one, clusters=1), [0])
    np.testing.assert_array_equal(cluster(one, method="agglomerative", distance=1), [0])
    np.testing.assert_array_equal(cluster(one, method="hdbscan"), [-1])
    np.testing.assert_array_equal(cluster(embeddings([[1, 2], [2, 1]]), method="hdbscan"), [-1, -1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "dbscan"}, "method must be one of agglomerative, hdbscan, kmeans"),
        ({}, "kmeans wants clusters"),
        ({"clusters": 2, "distance": 0.1}, "kmeans wants clusters, and no distance"),
        ({"clusters": 0}, r"clusters must be in \[1, 4\]"),
        ({"clusters": 5}, r"clusters must be in \[1, 4\]"),
        ({"method": "agglomerative"}, "clusters or distance"),
        ({"method": "agglomerative", "clusters": 2, "distance": 0.1}, "one of them"),
        ({"method": "agglomerative", "distance": 2.5}, r"distance must be .* in \(0, 2\]"),
        ({"method": "agglomerative", "distance": 0}, r"distance must be .* in \(0, 2\]"),
        ({"method": "hdbscan", "clusters": 2}, "finds how many by itself"),
        ({"method": "hdbscan", "smallest": 1}, "smallest must be at least 2"),
    ],
)
def test_what_cannot_be_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        cluster(embeddings(np.eye(4)), **options)


def test_bad_vectors_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        cluster(embeddings([[np.nan, 1], [1, 1]]), clusters=1)
    with pytest.raises(ValueError, match="embeddings must be at least 1"):
        cluster(embeddings(np.zeros((0, 3))), method="hdbscan")


def test_a_tree_of_too_many_images_is_refused(monkeypatch):
    monkeypatch.setattr(module, "LARGEST_TREE", 3)
    with pytest.raises(ValueError, match="at most 3 images, got 4"):
        cluster(embeddings(np.eye(4)), method="agglomerative", clusters=2)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(LookalikeError, match=r"pip install 'lookalike\[cluster\]'"):
        cluster(embeddings(np.eye(4)), clusters=2)


groupings = st.integers(2, 40).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, top), min_size=n, max_size=n) for top in (4, 6)))
)


@given(groupings)
def test_scores_are_those_of_scikit_learn(pair):
    clusters, labels = map(np.array, pair)
    found = compare_with_labels(clusters, labels)
    assert found.nmi == pytest.approx(metrics.normalized_mutual_info_score(labels, clusters))
    assert found.ari == pytest.approx(metrics.adjusted_rand_score(labels, clusters))
    expected = metrics.adjusted_mutual_info_score(labels, clusters)
    trivial = (
        abs(expected) > 1 or len({*pair[0]}) == len(pair[0]) or len({*pair[1]}) == len(pair[1])
    )
    if not trivial:  # where one side is all single images AMI is 0 over 0
        assert found.ami == pytest.approx(expected, abs=1e-9)


@given(groupings)
def test_pairs_and_images_are_counted_one_by_one(pair):
    clusters, labels = map(np.array, pair)
    together = put = belong = 0
    for (c, k), (d, m) in itertools.combinations(zip(*pair, strict=True), 2):
        together, put, belong = together + (c == d and k == m), put + (c == d), belong + (k == m)
    found = compare_with_labels(clusters, labels)
    if together:
        precision, recall = together / put, together / belong
        assert found.pairwise_f == pytest.approx(2 * precision * recall / (precision + recall))
    elif put or belong:
        assert found.pairwise_f == 0
    both = [((clusters == c) & (labels == k)).sum() for c, k in zip(*pair, strict=True)]
    precision = np.mean([n / (clusters == c).sum() for n, c in zip(both, clusters, strict=True)])
    recall = np.mean([n / (labels == k).sum() for n, k in zip(both, labels, strict=True)])
    assert found.bcubed_f == pytest.approx(2 * precision * recall / (precision + recall))


def test_what_chance_gives_is_the_mean_over_all_orders():
    """AMI takes from both sides the mean mutual information over every permutation of labels."""
    clusters, labels = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    every = [metrics.mutual_info_score(clusters, order) for order in itertools.permutations(labels)]
    mean = module._expected_information(np.array([3, 2, 1]), np.array([2, 2, 2]))
    assert mean == pytest.approx(np.mean(every))


def test_the_same_groups_under_other_names_score_1_even_if_trivial():
    for labels in map(np.array, ([0, 0, 1, 2], [0, 0, 0], [0, 1, 2], [5])):
        found = compare_with_labels(7 - labels, labels)
        assert set(vars(found).values()) == {1.0}


def test_many_blind_clusters_raise_nmi_and_not_ami():
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 1000)
    few, many = (compare_with_labels(random.integers(0, k, 1000), labels) for k in (10, 300))
    assert many.nmi > 5 * few.nmi
    for blind in (few, many):
        assert abs(blind.ami) < 0.02
        assert abs(blind.ari) < 0.02


def test_an_image_in_no_cluster_is_a_cluster_of_its_own():
    labels = np.array([0, 0, 1, 1, 1])
    assert compare_with_labels(np.array([0, 0, -1, 1, -1]), labels) == compare_with_labels(
        np.array([0, 0, 1, 2, 3]), labels
    )


def test_an_image_without_a_label_is_left_out():
    clusters, labels = np.array([0, 0, 1, 1, 0]), np.array([0, 1, 1, 1, -1])
    assert compare_with_labels(clusters, labels) == compare_with_labels(clusters[:4], labels[:4])
    with pytest.raises(ValueError, match="labelled_images must be at least 1"):
        compare_with_labels(clusters, np.full(5, -1))
    with pytest.raises(ValueError, match="labels must have shape"):
        compare_with_labels(clusters, labels[:4])
