"""Each classical map does what it is known for."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lookalike.embeddings import Embeddings
from lookalike.errors import UsageError
from lookalike.evaluation.classical import fit_classical
from lookalike.evaluation.knn import knn_accuracy

METHODS = ["pca", "lda", "lle", "isomap", "nca", "mahalanobis"]


@pytest.fixture(scope="module")
def digits():
    """(200, 64) digits to fit on, their labels, and as many others."""
    vectors, labels = load_digits(return_X_y=True)
    return vectors[:200] / 16, labels[:200], vectors[200:400] / 16, labels[200:400]


def nearest_neighbour(fitted, digits):
    vectors, labels, others, asked = digits
    bank, queries = (
        Embeddings(
            fitted.map(each).astype(np.float32),
            ids=tuple(map(str, range(len(each)))),
            labels=names,
        )
        for each, names in ((vectors, labels), (others, asked))
    )
    return knn_accuracy(bank, queries, k=1)


def test_pca_is_the_truncated_svd_up_to_signs(digits):
    vectors = digits[0]
    mapped = fit_classical("pca", vectors, dim=3).map(vectors)
    centred = vectors - vectors.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(mapped), np.abs(left * values)[:, :3], atol=1e-8)


def test_what_pca_loses_is_the_eigenvalues_it_drops(digits):
    vectors = digits[0]
    centred = vectors - vectors.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(centred.T @ centred)[::-1]
    mapped = fit_classical("pca", vectors, dim=5).map(vectors)
    back = mapped @ np.linalg.lstsq(mapped, centred, rcond=None)[0]
    assert ((centred - back) ** 2).sum() == pytest.approx(eigenvalues[5:].sum())


def test_lda_has_a_dimension_less_than_there_are_classes(digits):
    vectors, labels, *_ = digits
    three = labels < 3
    fitted = fit_classical("lda", vectors[three], labels[three], dim=2)
    assert fitted.map(vectors).shape == (200, 2)
    with pytest.raises(ValueError, match=r"dim must be in \[1, 2\] for lda, got 3"):
        fit_classical("lda", vectors[three], labels[three], dim=3)


def test_lda_of_two_classes_is_fishers_direction():
    """The inverse covariance within classes, times the difference of their means."""
    generator = np.random.default_rng(0)
    spread = generator.normal(size=(3, 3))
    labels = np.arange(300) % 2
    vectors = generator.normal(size=(300, 3)) @ spread + labels[:, None] * [1, 2, 3]
    means = [vectors[labels == label].mean(axis=0) for label in (0, 1)]
    within = np.cov((vectors - np.array(means)[labels]).T)
    fisher = np.linalg.solve(within, means[1] - means[0])
    mapped = fit_classical("lda", vectors, labels, dim=1).map(vectors)[:, 0]
    assert abs(np.corrcoef(mapped, vectors @ fisher)[0, 1]) == pytest.approx(1)


@pytest.mark.parametrize("method", ["nca", "mahalanobis", "lda"])
def test_maps_that_see_labels_keep_digits_together_better_than_pca(digits, method):
    vectors, labels, *_ = digits
    plain = nearest_neighbour(fit_classical("pca", vectors, dim=2), digits)
    assert nearest_neighbour(fit_classical(method, vectors, labels, dim=2), digits) > plain + 0.05


@pytest.mark.parametrize("method", ["lle", "isomap"])
def test_manifolds_unroll_what_a_plane_cannot(method):
    """Along a spiral the way, not the straight line, is the first coordinate."""
    way = np.linspace(0, 1, 200)
    angle = 3 * np.pi * (0.5 + way)
    spiral = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1)

    def agreement(mapped):
        ranks = mapped[:, 0].argsort().argsort()
        return abs(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])

    fitted = fit_classical(method, spiral[::2], dim=1, neighbours=4)
    assert agreement(fitted.map(spiral[::2])) > 0.99
    assert agreement(fitted.map(spiral[1::2])) > 0.99  # points that it was not fitted on
    assert agreement(fit_classical("pca", spiral[::2], dim=1).map(spiral)) < 0.9


@pytest.mark.parametrize("method", METHODS)
def test_a_map_is_a_function_of_one_vector_and_leaves_it_as_it_is(digits, method):
    vectors, labels, others, _ = digits
    before = vectors.copy()
    marked = np.where(np.arange(200) < 150, labels, -1)
    fitted, again = (fit_classical(method, vectors, marked, dim=2, neighbours=20) for _ in range(2))
    mapped = fitted.map(others)
    assert mapped.dtype == np.float64
    np.testing.assert_array_equal(mapped, again.map(others))
    np.testing.assert_allclose(mapped[50:60], fitted.map(others[50:60]), atol=1e-9)
    np.testing.assert_array_equal(vectors, before)


@pytest.mark.parametrize("method", ["lda", "nca", "mahalanobis"])
def test_vectors_without_a_label_take_no_part(digits, method):
    vectors, labels, others, _ = digits
    marked = np.where(labels < 5, labels, -1)
    one = fit_classical(method, vectors, marked, dim=2)
    other = fit_classical(method, vectors[labels < 5], labels[labels < 5], dim=2)
    np.testing.assert_array_equal(one.map(others), other.map(others))


@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        ("pca", {"dim": 65}, r"dim must be in \[1, 64\] for pca, got 65"),
        ("pca", {"dim": 0}, r"dim must be in"),
        ("tsne", {}, "method must be one of"),
        ("lle", {"neighbours": 200}, r"neighbours must be in \[1, 199\], got 200"),
        ("isomap", {"neighbours": 0}, "neighbours must be in"),
        ("nca", {"labels": None}, "labels must be given for nca, got None"),
        ("lda", {"labels": np.zeros(3, dtype=np.int64)}, r"labels must have shape \(200,\)"),
        ("pca", {"vectors": np.full((4, 2), np.nan)}, "vectors must be finite"),
    ],
)
def test_nonsense_is_refused(digits, method, given, said):
    asked = {"vectors": digits[0], "labels": digits[1]} | given
    with pytest.raises(ValueError, match=said):
        fit_classical(method, asked.pop("vectors"), asked.pop("labels"), **asked)


def test_a_map_takes_vectors_of_its_width(digits):
    with pytest.raises(ValueError, match="must be 64 wide, got 3"):
        fit_classical("pca", digits[0]).map(np.zeros((2, 3)))


def test_without_scikit_learn_one_line_says_what_to_do(digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(UsageError, match=r"pca needs scikit-learn\n  fix: pip install 'lookalike"):
        fit_classical("pca", digits[0])
    assert fit_classical("mahalanobis", digits[0][:20], digits[1][:20]).dim == 2  # ours
