"""Who is near whom among the gallery's vectors, by cosine; and which images to show for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TILE = 1024  # rows compared at a time, so that no N x N matrix is held


@dataclass(frozen=True)
class Neighbours:
    """The nearest images of each image, nearest first.

    Args:
        positions: (N, K) int64, never the image itself.
        cosines: (N, K) float32 in [-1, 1].
        other_position: (N,) int64, the nearest image with another known label; -1 if there is none.
        other_cosine: (N,) float32, its cosine; -inf if there is none.
    """

    positions: npt.NDArray[np.int64]
    cosines: npt.NDArray[np.float32]
    other_position: npt.NDArray[np.int64]
    other_cosine: npt.NDArray[np.float32]


def find_neighbours(
    vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], *, count: int
) -> Neighbours:
    """Compare every image with every other.

    Args:
        vectors: (N, D) L2-normalised.
        labels: (N,); -1 where unknown.
        count: neighbours to keep; all N - 1 where there are fewer.

    Returns:
        K = min(count, N - 1) neighbours an image.
    """
    size = len(vectors)
    count = min(count, size - 1)
    tiles = [
        _tile(vectors, labels, np.arange(start, min(start + TILE, size)), count)
        for start in range(0, size, TILE)
    ]
    return Neighbours(*(np.concatenate(parts) for parts in zip(*tiles, strict=True)))


def _tile(
    vectors: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    count: int,
) -> tuple[
    npt.NDArray[np.int64],
    npt.NDArray[np.float32],
    npt.NDArray[np.int64],
    npt.NDArray[np.float32],
]:
    cosines = np.clip(vectors[rows] @ vectors.T, -1, 1)  # (R, N)
    cosines[np.arange(len(rows)), rows] = -np.inf  # no image is its own neighbour
    nearest = np.argpartition(-cosines, max(count - 1, 0), axis=1)[:, :count]  # (R, K)
    near = np.take_along_axis(cosines, nearest, axis=1)
    order = np.lexsort((nearest, -near), axis=1)
    stranger = (
        (labels[rows, None] != labels[None]) & (labels[rows, None] >= 0) & (labels[None] >= 0)
    )
    cosines[~stranger] = -np.inf
    other = cosines.argmax(axis=1)
    other_cosine = cosines[np.arange(len(rows)), other]
    return (
        np.take_along_axis(nearest, order, axis=1),
        np.take_along_axis(near, order, axis=1),
        np.where(np.isfinite(other_cosine), other, -1),
        other_cosine,
    )


def choose_queries(labels: npt.NDArray[np.int64], *, count: int, seed: int = 0) -> list[int]:
    """Return positions of images to show, the classes taking turns, the same for the same seed."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    turn: dict[int, int] = {}
    ranked = []
    for position in shuffled.tolist():
        label = int(labels[position])
        ranked.append((turn.get(label, 0), label, position))
        turn[label] = turn.get(label, 0) + 1
    return [position for _, _, position in sorted(ranked)[:count]]


def hardest_pairs(neighbours: Neighbours, *, count: int) -> list[tuple[int, int, float]]:
    """Return (image, image, cosine) of pairs that are most alike across labels, no image twice."""
    return _pairs(neighbours.other_position, neighbours.other_cosine, count)


def closest_pairs(neighbours: Neighbours, *, count: int) -> list[tuple[int, int, float]]:
    """Return (image, image, cosine) of pairs that are most alike of all, no image twice."""
    return _pairs(neighbours.positions[:, 0], neighbours.cosines[:, 0], count)


def _pairs(
    partners: npt.NDArray[np.int64], cosines: npt.NDArray[np.float32], count: int
) -> list[tuple[int, int, float]]:
    pairs: list[tuple[int, int, float]] = []
    shown: set[int] = set()
    for image in np.argsort(-cosines, kind="stable").tolist():
        if len(pairs) == count or not np.isfinite(cosines[image]):
            break
        partner = int(partners[image])
        if not shown & {image, partner}:
            pairs.append((image, partner, float(cosines[image])))
            shown |= {image, partner}
    return pairs


def neighbour_agreement(neighbours: Neighbours, labels: npt.NDArray[np.int64]) -> float | None:
    """Return the share of labelled images whose nearest has their label; none without labels."""
    known = labels >= 0
    if not known.any():
        return None
    return float((labels[neighbours.positions[known, 0]] == labels[known]).mean())
