"""Ranks and averages against a slow loop, closed forms, and what must not change them."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from lookalike.embeddings import Embeddings
from lookalike.evaluation import retrieval as module
from lookalike.evaluation.retrieval import retrieval


def embeddings(vectors, labels) -> Embeddings:
    vectors = np.asarray(vectors, dtype=np.float32)
    return Embeddings(vectors, ("",) * len(vectors), np.asarray(labels, dtype=np.int64))


def random_embeddings(count: int, seed: int, *, classes: int = 5, width: int = 6) -> Embeddings:
    random = np.random.default_rng(seed)
    return embeddings(random.normal(size=(count, width)), random.integers(0, classes, count))


def listed(relevant: str) -> tuple[Embeddings, Embeddings]:
    """A query of class 1 and a gallery whose list for it is this: r where relevant, - where not."""
    angles = np.linspace(0.01, 1, len(relevant))
    gallery = embeddings(
        np.stack([np.cos(angles), np.sin(angles)], 1), [int(mark == "r") for mark in relevant]
    )
    return embeddings([[1, 0]], [1]), gallery


def slow(queries, gallery=None, *, ks, distance="cosine", trapezoid=False, cameras=None):
    """One query, one image at a time."""
    itself, gallery = gallery is None, gallery or queries
    kinds = {"recall": [], "r_precision": [], "map_at_r": [], "mean": []}
    for i, (query, label) in enumerate(
        zip(queries.vectors.astype(float), queries.labels, strict=True)
    ):
        listing = []
        for j, (image, other) in enumerate(
            zip(gallery.vectors.astype(float), gallery.labels, strict=True)
        ):
            junk = cameras is not None and other == label and cameras[0][i] == cameras[1][j]
            if other < 0 or junk or (itself and i == j):
                continue
            if distance == "cosine":
                far = -(query @ image) / (np.linalg.norm(query) * np.linalg.norm(image))
            else:
                far = np.linalg.norm(query - image)
            listing.append((far, j, other == label))
        hits = [relevant for *_, relevant in sorted(listing)]
        total = sum(hits)
        if label < 0 or not total:
            continue
        precisions = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
        before = [1.0, *precisions] if trapezoid else precisions
        pairs = zip(hits, precisions, before, strict=False)
        kinds["recall"].append([any(hits[:k]) for k in ks])
        kinds["r_precision"].append(sum(hits[:total]) / total)
        kinds["map_at_r"].append(
            sum(p for p, hit in zip(precisions[:total], hits, strict=False) if hit) / total
        )
        kinds["mean"].append(sum((p + b) / 2 for hit, p, b in pairs if hit) / total)
    return {name: np.mean(values, axis=0) for name, values in kinds.items()}


def assert_same(found, expected):
    np.testing.assert_allclose(list(found.recall_at_k.values()), expected["recall"], rtol=1e-12)
    assert found.r_precision == pytest.approx(expected["r_precision"])
    assert found.map_at_r == pytest.approx(expected["map_at_r"])
    assert found.mean_average_precision == pytest.approx(expected["mean"])


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["standard", "trapezoid"])
@pytest.mark.parametrize("block", [1, 150, 2**22])
def test_all_others_are_ranked_as_by_a_slow_loop(monkeypatch, distance, kind, block):
    monkeypatch.setattr(module, "BLOCK", block)
    images = random_embeddings(60, 0, classes=12)
    images.labels[:7] = -1
    found = retrieval(images, ks=(1, 3, 20), distance=distance, average_precision=kind)
    assert_same(
        found, slow(images, ks=(1, 3, 20), distance=distance, trapezoid=kind == "trapezoid")
    )


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_gallery_is_ranked_as_by_a_slow_loop(distance):
    queries, gallery = random_embeddings(31, 1, classes=9), random_embeddings(50, 2, classes=7)
    gallery.labels[3:6] = -1
    found = retrieval(queries, gallery, distance=distance)
    assert_same(found, slow(queries, gallery, ks=(1, 2, 4, 8), distance=distance))
    assert found.without_relevant == (~np.isin(queries.labels, gallery.labels)).sum() > 0
    assert found.queries + found.without_relevant == 31


def test_images_of_the_query_by_its_own_camera_are_junk():
    random = np.random.default_rng(3)
    queries, gallery = random_embeddings(20, 3), random_embeddings(40, 4)
    gallery.labels[:4] = -1
    cameras = random.integers(0, 3, 20), random.integers(0, 3, 40)
    found = retrieval(queries, gallery, query_cameras=cameras[0], gallery_cameras=cameras[1])
    assert_same(found, slow(queries, gallery, ks=(1, 2, 4, 8), cameras=cameras))
    alone = retrieval(gallery, query_cameras=cameras[1])
    assert_same(alone, slow(gallery, ks=(1, 2, 4, 8), cameras=(cameras[1],) * 2))


@pytest.mark.parametrize("block", [1, 700, 2**22])
@pytest.mark.parametrize("spread", [1, 0], ids=["apart", "with ties"])
def test_the_top_of_the_list_is_enough_where_no_average_precision_is_asked_for(
    monkeypatch, block, spread
):
    monkeypatch.setattr(module, "BLOCK", block)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(300, 4)) * spread + random.integers(-1, 2, (300, 4)) + 0.1
    images = embeddings(vectors, random.integers(0, 25, 300))  # 12 of 300 a class: far from all
    whole, top = (
        retrieval(images, ks=(1, 30), average_precision=kind) for kind in ("standard", None)
    )
    assert top == dataclasses.replace(whole, mean_average_precision=None)


def test_average_precision_is_that_of_scikit_learn():
    images = random_embeddings(80, 5, classes=3, width=3)
    unit = images.vectors / np.linalg.norm(images.vectors, axis=1, keepdims=True)
    expected = []
    for i, label in enumerate(images.labels):
        others = np.arange(80) != i
        expected.append(
            average_precision_score(images.labels[others] == label, unit[others] @ unit[i])
        )
    assert retrieval(images).mean_average_precision == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("places", "expected"),
    [((1,), 0.10), ((1, 10), 0.12), ((1, 2), 0.20), (range(1, 11), 1.0)],
    ids=["first", "first and tenth", "first two", "all"],
)
def test_map_at_r_tells_apart_what_recall_at_1_does_not(places, expected):
    marks = "".join("r" if place in places else "-" for place in range(1, 11))
    found = retrieval(*listed(marks + "r" * (10 - len(places))))  # R is 10
    assert found.map_at_r == pytest.approx(expected)
    assert found.r_precision == len(places) / 10
    assert found.recall_at_k[1] == 1


def test_a_lone_hit_at_the_second_place_has_half_the_area_under_the_trapezoid():
    assert retrieval(*listed("-r-")).mean_average_precision == 0.5
    assert retrieval(*listed("-r-"), average_precision="trapezoid").mean_average_precision == 0.25
    assert retrieval(*listed("r--"), average_precision="trapezoid").mean_average_precision == 1


def test_the_curve_says_when_the_first_is_found():
    found = retrieval(*listed("--r-r"), ks=(5, 2))
    assert found.cmc == (0, 0, 1, 1, 1)
    assert found.recall_at_k == {5: 1, 2: 0}


def test_perfect_separation_is_perfect():
    images = embeddings(np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2, 2, 2]], [5, 5, 8, 8, 9, 9, 9])
    for distance in ("cosine", "euclidean"):
        found = retrieval(images, distance=distance)
        assert set(found.cmc) == {1.0}
        assert found.r_precision == found.map_at_r == found.mean_average_precision == 1


def test_random_vectors_find_a_class_as_often_as_it_is_there():
    count = 3000
    images = embeddings(
        np.random.default_rng(0).normal(size=(count, 64)), np.repeat([0, 1, 2], [1500, 900, 600])
    )
    expected = 0.5**2 + 0.3**2 + 0.2**2
    within = 4 * math.sqrt(expected * (1 - expected) / count)
    assert retrieval(images).recall_at_k[1] == pytest.approx(expected, abs=within)


def test_equally_near_images_rank_in_the_order_of_the_gallery():
    query = embeddings([[1, 0]], [1])
    vectors = [[0, 1], [1, 0], [1, 0], [1, 0]]
    for labels, rank in (
        ([1, 0, 0, 0], 3),
        ([0, 0, 0, 1], 2),
        ([0, 0, 1, 0], 1),
        ([0, 1, 0, 0], 0),
    ):
        found = retrieval(query, embeddings(vectors, labels), ks=(4,))
        assert found.cmc.index(1) == rank


@pytest.mark.parametrize("vector", [[0, 0, 0], [1, 2, 3]])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_collapsed_encoder_ranks_by_position_alone(vector, distance):
    labels = np.random.default_rng(0).integers(0, 3, 30)
    images = embeddings([vector] * 30, labels)
    found = retrieval(images, ks=(1,), distance=distance)
    first = np.where(np.arange(30) == 0, labels[1], labels[0])  # the first image that is another
    assert found.recall_at_k[1] == (first == labels).mean()


def test_copies_tie_whatever_the_size_of_the_block(monkeypatch):
    """Their scores may differ in the last bit, by where their columns lie in a matrix product."""
    random = np.random.default_rng(0)
    some = random.normal(size=(37, 61)).astype(np.float32)
    images = embeddings(some[random.integers(0, 37, 400)], random.integers(0, 4, 400))
    results = []
    for block in (1, 5000, 2**22):
        monkeypatch.setattr(module, "BLOCK", block)
        results.append(retrieval(images))
    assert results[0] == results[1] == results[2]
    shuffled = images.select(random.permutation(400))
    assert retrieval(shuffled).r_precision != results[0].r_precision  # ties go by position


def test_only_an_image_itself_is_left_out_not_its_copies():
    images = embeddings([[1, 0], [1, 0], [0, 1], [0, 1]], [0, 0, 1, 0])
    assert retrieval(images, ks=(1,)).recall_at_k[1] == pytest.approx(2 / 3)


def test_labels_of_any_size_stay_exact():
    """2^53 and 2^53 + 1 are one float64."""
    images = embeddings([[1, 0], [1, 0.1], [1, 0], [1, 0.1]], [2**53, 2**53 + 1, 2**53, 2**53 + 1])
    assert retrieval(images).map_at_r == 1
    huge = np.iinfo(np.int64).max
    apart = embeddings([[1, 0], [1, 0.1]], [huge, huge - 1])
    with pytest.raises(ValueError, match="no query has another image of its class"):
        retrieval(apart)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_what_keeps_the_order_keeps_the_numbers(distance):
    images = random_embeddings(70, 8)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    order = np.random.default_rng(1).permutation(70)
    expected = retrieval(images, distance=distance)
    changed = [images.vectors @ turn, 3 * images.vectors]
    if distance == "euclidean":
        changed.append(images.vectors + 1000)
    for vectors in changed:
        found = retrieval(embeddings(vectors, images.labels), distance=distance)
        assert found.map_at_r == pytest.approx(expected.map_at_r)
    assert retrieval(images.select(order), distance=distance).map_at_r == pytest.approx(
        expected.map_at_r
    )
    renamed = embeddings(images.vectors, 99 - images.labels)
    assert retrieval(renamed, distance=distance) == expected


def test_cosine_does_not_see_lengths_and_euclidean_does():
    images = embeddings([[1, 0], [9, 1], [1, 0.5]], [0, 0, 1])
    assert retrieval(images, ks=(1,)).recall_at_k[1] == 1
    assert retrieval(images, ks=(1,), distance="euclidean").recall_at_k[1] == 0


def test_lone_classes_are_counted_and_left_out():
    found = retrieval(embeddings([[1, 0], [1, 0.1], [0, 1], [0, 2]], [0, 0, 1, -1]))
    assert (found.queries, found.without_relevant) == (2, 1)


def test_arguments_stay_as_they_were():
    images = random_embeddings(20, 0)
    kept = images.vectors.copy(), images.labels.copy()
    retrieval(images, images, distance="euclidean")
    np.testing.assert_array_equal(images.vectors, kept[0])
    np.testing.assert_array_equal(images.labels, kept[1])


def test_several_threads_sort_as_one():
    before = torch.get_num_threads()
    images = random_embeddings(50, 0)
    one = retrieval(images)
    try:
        torch.set_num_threads(3)
        assert retrieval(images) == one
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ks": ()}, "ks must be at least 1"),
        ({"ks": (2, 0)}, "ks must be at least 1, got 0"),
        ({"distance": "l1"}, "distance must be one of cosine, euclidean"),
        ({"average_precision": "best"}, "average_precision must be one of"),
        ({"gallery_cameras": [0, 0]}, "gallery_cameras must be None"),
        ({"query_cameras": [0]}, r"query_cameras must have shape \(2,\), got \(1,\)"),
        ({"gallery": random_embeddings(3, 0, width=5)}, "one width"),
        ({"gallery": random_embeddings(3, 0), "query_cameras": [0, 0]}, "given together"),
        ({"gallery": embeddings([[np.inf] * 6], [0])}, "gallery holds vectors.*not finite"),
        ({"gallery": embeddings([[1] * 6], [-1])}, "no query has another image"),
        ({"gallery": embeddings(np.zeros((0, 6)), [])}, "no query has another image"),
    ],
)
def test_what_cannot_be_is_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        retrieval(random_embeddings(2, 0), **arguments)


def test_queries_without_labels_or_fellows_cannot_be_judged():
    for labels in ([-1, -1], [0, 1]):
        with pytest.raises(ValueError, match="no query has another image"):
            retrieval(embeddings([[1, 0], [0, 1]], labels))
