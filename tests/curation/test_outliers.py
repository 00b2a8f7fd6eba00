"""Factors are scikit-learn's, small classes are no outliers, and wrong labels are doubted."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from sklearn.neighbors import LocalOutlierFactor

from lookalike.curation.album import Album
from lookalike.curation.outliers import find_outliers, outlier_factors, write_csv
from lookalike.data.image_set import ImageSet
from lookalike.embeddings import Embeddings
from lookalike.errors import DataError


class Nothing:
    """Gives no pictures: outliers are found among vectors alone."""

    def read(self, key: int, limit: int | None = None) -> bytes:
        raise AssertionError(key)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def around(centre: int, count: int, spread: float, *, seed: int = 0) -> np.ndarray:
    """Return (count, 8) unit vectors around an axis."""
    random = np.random.default_rng((seed, centre))
    return unit(np.eye(8)[centre] + random.normal(0, spread, (count, 8)))


def album_of(vectors: np.ndarray, labels: np.ndarray | None = None) -> Album:
    labels = np.full(len(vectors), -1) if labels is None else labels
    ids = tuple(f"{place:03d}.jpg" for place in range(len(vectors)))
    kinds = ("cat", "dog", "owl")
    images = ImageSet("made up", ids, labels, kinds, Nothing(), np.arange(len(vectors)))
    return Album(images, Embeddings(vectors, ids, labels, kinds))


@pytest.mark.parametrize("neighbours", [1, 5, 20])
def test_factors_are_those_of_scikit_learn(neighbours):
    vectors = unit(np.random.default_rng(0).normal(size=(150, 16)))
    distances, factors = outlier_factors(vectors, neighbours=neighbours)
    theirs = LocalOutlierFactor(n_neighbors=neighbours, algorithm="brute").fit(vectors)
    np.testing.assert_allclose(factors, -theirs.negative_outlier_factor_, rtol=2e-4)
    reach = np.sort(np.linalg.norm(vectors[:, None] - vectors, axis=2), axis=1)[:, neighbours]
    np.testing.assert_allclose(distances, reach, atol=1e-5)


def test_the_scale_of_vectors_does_not_count():
    vectors = unit(np.random.default_rng(0).normal(size=(40, 8)))
    _, factors = outlier_factors(vectors, neighbours=5)
    _, scaled = outlier_factors(vectors * 7, neighbours=5)
    np.testing.assert_allclose(factors, scaled, rtol=1e-4)


def test_exact_copies_are_finite():
    vectors = np.concatenate([np.repeat(around(0, 1, 0.0), 12, axis=0), around(1, 12, 0.1)])
    _, factors = outlier_factors(vectors, neighbours=5)
    assert np.isfinite(factors).all()
    assert factors[:12].max() == pytest.approx(1, abs=0.01)


def test_a_small_class_far_away_is_no_outlier_and_a_loner_is():
    dense, thin, small = around(0, 100, 0.03), around(1, 60, 0.15), around(2, 14, 0.05)
    loner = unit(np.ones((1, 8)))
    found = find_outliers(album_of(np.concatenate([dense, thin, small, loner])))
    assert found.order[0] == 174
    assert found.factors[174] > 2
    assert found.factors[160:174].mean() < 1.3  # though the class is farther off than thin ones are
    assert found.distances[174] > found.distances[:174].max()
    assert 174 in found.order[: found.outside]


@pytest.fixture
def mislabelled() -> Album:
    """Return 3 classes of 30, of which images 5 and 40 are labelled wrongly, and 2 of none."""
    vectors = np.concatenate([around(place, 30, 0.1) for place in range(3)] + [around(0, 2, 0.1)])
    labels = np.repeat([0, 1, 2, -1], [30, 30, 30, 2])
    labels[5], labels[40] = 2, 0
    return album_of(vectors, labels)


def test_labels_that_all_neighbours_speak_against_are_doubtful(mislabelled):
    found = find_outliers(mislabelled)
    doubts = {doubt.position: (doubt.label, doubt.voted) for doubt in found.doubts}
    assert doubts == {5: ("owl", "cat"), 40: ("cat", "dog")}
    assert all(doubt.share >= 0.9 and doubt.own <= 0.1 for doubt in found.doubts)
    assert found.agreeing == pytest.approx(88 / 90)
    assert [each.share for each in found.doubts] == sorted(
        (each.share for each in found.doubts), reverse=True
    )


def test_the_confidence_is_a_share_of_the_votes(mislabelled):
    counts = [len(find_outliers(mislabelled, confidence=c).doubts) for c in (0.0, 0.9, 1.0)]
    assert counts[0] >= counts[1] >= counts[2]
    assert all(doubt.share == 1 for doubt in find_outliers(mislabelled, confidence=1.0).doubts)


def test_without_labels_none_is_doubtful(mislabelled):
    found = find_outliers(album_of(mislabelled.embeddings.vectors))
    assert (found.doubts, found.agreeing) == ((), None)
    assert "doubtful" not in "\n".join(found.lines())


def test_the_table_lists_every_image_the_highest_factor_first(mislabelled, tmp_path):
    found = find_outliers(mislabelled, above=1.2)
    write_csv(found, tmp_path / "outliers.csv")
    rows = list(csv.DictReader((tmp_path / "outliers.csv").read_text().splitlines()))
    factors = [float(row["factor"]) for row in rows]
    assert len(rows) == 92
    assert factors == sorted(factors, reverse=True)
    assert [row["outlier"] == "yes" for row in rows] == [factor >= 1.2 for factor in factors]
    assert {row["id"]: row["voted"] for row in rows if row["voted"]} == {
        "005.jpg": "cat",
        "040.jpg": "dog",
    }


def test_scripts_find_one_object_and_people_tables(mislabelled):
    found = find_outliers(mislabelled, above=1.2)
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert len(told["outliers"]) == found.outside > 0
    assert {each["id"] for each in told["doubtful_labels"]} == {"005.jpg", "040.jpg"}
    text = "\n".join(found.lines())
    assert f"{found.outside} of 92 images are outliers" in text
    assert "005.jpg  owl, and its neighbours say cat" in text


def test_few_images_are_compared_with_all_others():
    found = find_outliers(album_of(around(0, 3, 0.1)))
    assert found.neighbours == 2
    with pytest.raises(DataError, match="holds one image"):
        find_outliers(album_of(around(0, 1, 0.1)))


@pytest.mark.parametrize("options", [{"neighbours": 0}, {"above": 0}, {"confidence": 1.1}])
def test_refuses_what_cannot_be(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        find_outliers(album_of(around(0, 5, 0.1)), **options)
