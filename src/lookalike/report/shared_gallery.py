"""The images that the galleries of several runs share: each run's neighbours, and who changed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from lookalike.report.exhibit import at_most
from lookalike.report.neighbours import Neighbours, choose_queries, find_neighbours
from lookalike.report.reading import Gallery

COMPARED = 10  # neighbours, as for a student and its teacher
FEWEST = COMPARED + 2  # images: with fewer, all would be neighbours of all
LARGEST = 2000
CHANGED = 6
QUERIES = 8
SURE = 0.05  # of the two-sided sign test


@dataclass(frozen=True)
class Pair:
    """Two runs, asked about the same images.

    Args:
        first: letter of the one.
        second: letter of the other.
        overlap: mean share of the nearest images that both agree on, in [0, 1].
        only_first: images whose nearest is of their class for the first alone; none without labels.
        only_second: likewise for the second.
        chance: of a difference at least this large between two that are equally good.
    """

    first: str
    second: str
    overlap: float
    only_first: int | None
    only_second: int | None
    chance: float | None

    @property
    def verdict(self) -> str:
        """What the counts say, in a sentence; empty without labels."""
        if self.only_first is None or self.only_second is None or self.chance is None:
            return ""
        if self.chance >= SURE:
            return "may be chance"
        better = self.first if self.only_first > self.only_second else self.second
        return f"{better} is better"


@dataclass(frozen=True)
class SharedGallery:
    """Images that all runs have vectors of.

    Args:
        galleries: of each run by its letter, the same image at the same position.
        neighbours: of each run, among these images.
        kept: (N,) the mean share of an image's nearest that two runs agree on, in [0, 1].
        pairs: every two runs.
        queries: positions to show neighbours of, chosen at random, the classes taking turns.
        changed: positions of those whose neighbours changed most, the most first.
        left_out: images that are not in all galleries, or too many to show.
    """

    galleries: Mapping[str, Gallery]
    neighbours: Mapping[str, Neighbours]
    kept: npt.NDArray[np.float64]
    pairs: tuple[Pair, ...]
    queries: tuple[int, ...]
    changed: tuple[int, ...]
    left_out: int

    @property
    def first(self) -> Gallery:
        """The gallery that names, classes and thumbnails are taken from."""
        return _first(self.galleries)

    @property
    def by_chance(self) -> float:
        """The share of nearest images that two would agree on that know nothing."""
        return min(COMPARED, len(self.kept) - 1) / (len(self.kept) - 1)


def share_gallery(galleries: Mapping[str, Gallery]) -> SharedGallery:
    """Return what runs can be compared by: the images with the same name and the same pixels.

    Args:
        galleries: of at least two runs, by letter.

    Raises:
        ValueError: there are too few such images; the message is a sentence that says so.
    """
    places = {letter: _places(gallery) for letter, gallery in galleries.items()}
    shared = [
        key for key in next(iter(places.values())) if all(key in each for each in places.values())
    ]
    if len(shared) < FEWEST:
        count = f"only {len(shared)}" if shared else "no"
        raise ValueError(
            f"The galleries of {_listed(list(galleries))} have {count} images in common, so their "
            "neighbours cannot be compared: evaluate the runs on the same images"
        )
    total = max(map(len, galleries.values()))
    same = {
        letter: at_most(gallery.select([places[letter][key] for key in shared]), LARGEST)
        for letter, gallery in galleries.items()
    }
    labels = _first(same).labels
    neighbours = {
        letter: find_neighbours(gallery.vectors, gallery.labels, count=COMPARED)
        for letter, gallery in same.items()
    }
    agreements = {
        two: _agreement(neighbours[two[0]], neighbours[two[1]]) for two in combinations(same, 2)
    }
    kept = np.mean(list(agreements.values()), axis=0)
    turns = choose_queries(labels, count=len(labels))  # so that ties do not all be of one class
    order = sorted(turns, key=lambda image: kept[image])
    return SharedGallery(
        galleries=same,
        neighbours=neighbours,
        kept=kept,
        pairs=tuple(
            _pair(two, float(agreement.mean()), neighbours, labels)
            for two, agreement in agreements.items()
        ),
        queries=tuple(turns[:QUERIES]),
        changed=tuple(image for image in order[:CHANGED] if kept[image] < 1),
        left_out=total - len(labels),
    )


def sign_test(first: int, second: int) -> float:
    """Return the chance of a split as uneven as this, or more so, of fair coins; two-sided."""
    count, few = first + second, min(first, second)
    tail = sum(math.comb(count, heads) for heads in range(few + 1))
    return min(1.0, float(2 * tail / 2**count))


def _places(gallery: Gallery) -> dict[tuple[str, bytes], int]:
    """Return where each image is, by its name and its pixels: other folders have the same names."""
    return {
        (name, hashlib.sha256(thumb.tobytes()).digest()): place
        for place, (name, thumb) in enumerate(zip(gallery.ids, gallery.thumbs, strict=True))
    }


def _first(galleries: Mapping[str, Gallery]) -> Gallery:
    """Return the first gallery that knows labels, else the first."""
    known = (each for each in galleries.values() if (each.labels >= 0).any())
    return next(known, next(iter(galleries.values())))


def _agreement(first: Neighbours, second: Neighbours) -> npt.NDArray[np.float64]:
    """Return (N,) the share of each image's nearest that both have."""
    both = (first.positions[:, :, None] == second.positions[:, None]).any(axis=2)
    shares: npt.NDArray[np.float64] = both.mean(axis=1)
    return shares


def _pair(
    two: tuple[str, str],
    overlap: float,
    neighbours: Mapping[str, Neighbours],
    labels: npt.NDArray[np.int64],
) -> Pair:
    known = np.flatnonzero(labels >= 0)
    if not len(known):
        return Pair(*two, overlap, None, None, None)
    right = [labels[neighbours[each].positions[known, 0]] == labels[known] for each in two]
    first, second = (int((ours & ~theirs).sum()) for ours, theirs in (right, right[::-1]))
    return Pair(*two, overlap, first, second, sign_test(first, second))


def _listed(letters: Sequence[str]) -> str:
    return f"{', '.join(letters[:-1])} and {letters[-1]}"
