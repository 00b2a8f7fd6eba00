"""Neighbours: against a slow loop over all pairs."""

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.report import neighbours
from lookalike.report.neighbours import (
    choose_queries,
    closest_pairs,
    find_neighbours,
    hardest_pairs,
    neighbour_agreement,
)

RNG = np.random.default_rng(0)


def unit_vectors(count: int, dim: int = 8) -> npt.NDArray[np.float32]:
    vectors = RNG.normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("tile", [4, 1024])
def test_neighbours_are_those_of_a_slow_loop(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "TILE", tile)
    vectors, labels = unit_vectors(19), RNG.integers(-1, 3, 19)
    found = find_neighbours(vectors, labels, count=5)
    for i in range(19):
        cosines = [(-float(vectors[i] @ vectors[j]), j) for j in range(19) if j != i]
        near = sorted(cosines)[:5]
        assert found.positions[i].tolist() == [j for _, j in near]
        np.testing.assert_allclose(found.cosines[i], [-c for c, _ in near], atol=1e-6)
        others = [(c, j) for c, j in cosines if -1 != labels[j] != labels[i] != -1]
        assert found.other_position[i] == (min(others)[1] if others else -1)


def test_fewer_images_have_fewer_neighbours() -> None:
    found = find_neighbours(unit_vectors(3), np.zeros(3, np.int64), count=12)
    assert found.positions.shape == (3, 2)
    assert (found.other_position == -1).all()


def test_queries_are_seeded_and_the_classes_take_turns() -> None:
    labels = np.repeat(np.arange(4), [50, 30, 10, 2])
    chosen = choose_queries(labels, count=8)
    assert chosen == choose_queries(labels, count=8)
    assert sorted(labels[chosen].tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert choose_queries(labels, count=8, seed=1) != chosen


def test_pairs_are_sorted_and_show_no_image_twice() -> None:
    vectors, labels = unit_vectors(40), RNG.integers(0, 3, 40)
    found = find_neighbours(vectors, labels, count=3)
    for pairs in (hardest_pairs(found, count=6), closest_pairs(found, count=6)):
        assert len({image for pair in pairs for image in pair[:2]}) == 2 * len(pairs)
        cosines = [cosine for _, _, cosine in pairs]
        assert cosines == sorted(cosines, reverse=True)
        for first, second, cosine in pairs:
            assert cosine == pytest.approx(float(vectors[first] @ vectors[second]), abs=1e-6)
    assert all(labels[a] != labels[b] for a, b, _ in hardest_pairs(found, count=6))
    best = max(
        float(vectors[i] @ vectors[j])
        for i in range(40)
        for j in range(i)
        if labels[i] != labels[j]
    )
    assert hardest_pairs(found, count=1)[0][2] == pytest.approx(best, abs=1e-6)


def test_agreement_counts_only_labelled_images() -> None:
    vectors = np.eye(4, dtype=np.float32)
    vectors[1], vectors[3] = vectors[0], vectors[2]
    found = find_neighbours(vectors, np.array([0, 0, 1, -1]), count=1)
    assert neighbour_agreement(found, np.array([0, 0, 1, -1])) == pytest.approx(2 / 3)
    assert neighbour_agreement(found, np.full(4, -1)) is None
