"""Pairs of images that may be duplicates, scored detail by detail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from lookalike import _check
from lookalike.curation.agreement import agreement
from lookalike.curation.album import Album
from lookalike.curation.copies import KINDS, altered_copies
from lookalike.curation.looks import SIDE, Looks, grey_picture, look_at
from lookalike.curation.threshold import Threshold, choose_threshold
from lookalike.data.order import epoch_order
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.pairwise.similarity import top_k, unit_rows

Pairs = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

COPIES = 400  # altered copies that tell what duplicates score
FEW = 40  # at least
MIRRORED = 5000  # mirrored pictures, at most, that tell what chance scores
TINY = 8  # pixels a side of the pictures whose neighbours are candidates
ECHO = 0.05  # a mirrored picture's pair that agrees no better than this beyond the image's own
BORDER = 3  # pixels of 64 that are taken off for a second try: a crop moves everything


@dataclass(frozen=True, eq=False)
class Matches:
    """Candidate pairs of images, and from what score on they count.

    Attributes:
        pairs: (P, 2) positions, none twice; of one set the smaller first, else of first and second.
        scores: (P,) how well their details agree, in [-1, 1].
        cosines: (P,) what the encoder says of them, in [-1, 1].
        threshold: from what score on a pair counts.
        copies: scores of altered copies with their images.
        mirrored: scores of the pairs that mirrored pictures make.
    """

    pairs: Pairs
    scores: Scores
    cosines: Scores
    threshold: Threshold
    copies: Scores
    mirrored: Scores

    @property
    def found(self) -> npt.NDArray[np.int64]:
        """Places of the pairs that count, the most alike first."""
        order = np.argsort(-self.scores, kind="stable")
        return order[self.scores[order] >= self.threshold.value]

    def borderline(self, count: int) -> npt.NDArray[np.int64]:
        """Return the places of the pairs nearest to the threshold, on both sides, falling.

        Pairs that were seen to be unlike in the large are none.
        """
        seen = np.flatnonzero(self.scores > 0)
        near = np.argsort(np.abs(self.scores[seen] - self.threshold.value), kind="stable")
        chosen = seen[near[:count]]
        return chosen[np.argsort(-self.scores[chosen], kind="stable")]


def read_album(
    album: Album, *, max_unreadable: float = 0.01, progress: Progress | None = None
) -> tuple[Album, Looks]:
    """Return the images of an album that can be read now, and how they look.

    Raises:
        DataError: too many cannot be read.
    """
    quarantine = Quarantine(len(album))
    looks = look_at(
        album.images, max_pixels=album.max_pixels, quarantine=quarantine, progress=progress
    )
    quarantine.raise_if_above(max_unreadable)
    return album.select(looks.positions), looks


def find_matches(
    first: tuple[Album, Looks],
    second: tuple[Album, Looks] | None = None,
    *,
    precision: float,
    neighbours: int,
    seed: int,
) -> Matches:
    """Return the pairs of a set, or of two, that may be duplicates, and the threshold for them.

    Candidates are the nearest neighbours by the encoder's vectors, and those by tiny grey pictures,
    whole and without their border. So what one misses the other finds.

    Args:
        first: images, and how they look.
        second: those to pair them with; None pairs them with each other.
        precision: share of the found pairs that shall be right, in (0, 1).
        neighbours: candidates of an image by each of the three, >= 1.
        seed: of the copies.
    """
    _check.at_least(1, neighbours=neighbours)
    (album, looks), (other, others) = first, second or first
    alone = second is None
    grey, keys = torch.from_numpy(looks.grey), torch.from_numpy(others.grey)
    near = partial(_neighbours, k=neighbours, itself=alone)
    vectors = [torch.from_numpy(each.embeddings.vectors) for each in (album, other)]
    tiny = _tiny(keys)
    candidates = [near(*vectors), near(_tiny(grey), tiny), near(_tiny(_bordered(grey)), tiny)]
    pairs = _unique(np.concatenate(candidates), ordered=not alone)
    scores = score_pairs(grey, keys, pairs)

    copied = epoch_order(len(album), seed=seed, epoch=1)[:COPIES]
    if 0 < len(copied) < FEW:  # of few images, several copies each, as many of every kind
        copied = np.repeat(copied, len(KINDS) * math.ceil(FEW / len(KINDS) / len(copied)))
    copies = _score_copies(album, grey, copied, seed)
    searched = np.sort(epoch_order(len(album), seed=seed, epoch=2)[:MIRRORED])
    mirrored = grey[searched].flip(-1)
    chance = _neighbours(_tiny(mirrored), tiny, k=neighbours, itself=False)
    by_chance = _without_echoes(
        np.stack([searched[chance[:, 0]], chance[:, 1]], axis=1),
        score_pairs(mirrored, keys, chance),
        {(i, j): score for (i, j), score in zip(pairs.tolist(), scores.tolist(), strict=True)},
        alone=alone,
    )
    threshold = choose_threshold(
        scores,
        copies=copies,
        mirrored=by_chance,
        searched=len(searched),
        weight=len(album) / max(1, len(searched)),
        precision=precision,
    )
    i, j = pairs.T
    cosines = np.einsum("pd,pd->p", album.embeddings.vectors[i], other.embeddings.vectors[j])
    return Matches(pairs, scores, cosines.astype(np.float32), threshold, copies, by_chance)


def score_pairs(first: Tensor, second: Tensor, pairs: Pairs) -> Scores:
    """Return the agreement of pairs of pictures, (P,).

    Args:
        first: (N, 64, 64) uint8.
        second: (M, 64, 64) uint8.
        pairs: (P, 2) positions in the first and in the second.
    """
    parts = [np.zeros(0, dtype=np.float32)]
    for block in np.array_split(pairs, max(1, len(pairs) // 4096)):
        i, j = torch.from_numpy(np.ascontiguousarray(block.T))
        parts.append(agreement(first[i], second[j]).numpy())
    return np.concatenate(parts)


def _without_echoes(
    pairs: Pairs, scores: Scores, own: dict[tuple[int, int], float], *, alone: bool
) -> Scores:
    """Return the scores of mirrored pictures' pairs, each pair once, without its own likeness.

    A thing may be its own mirror image. So an image's mirrored picture is not held against itself,
    nor against one that the image as it is resembles as well: that is no chance.
    """
    best: dict[tuple[int, int], float] = {}
    for (i, j), score in zip(pairs.tolist(), scores.tolist(), strict=True):
        pair = (min(i, j), max(i, j)) if alone else (i, j)
        if not (alone and i == j) and own.get(pair, -1.0) < score - ECHO:
            best[pair] = max(score, best.get(pair, -1.0))
    return np.array(list(best.values()), dtype=np.float32)


def _score_copies(album: Album, grey: Tensor, positions: Pairs, seed: int) -> Scores:
    copies = altered_copies(album.images, positions, seed=seed, max_pixels=album.max_pixels)
    if len(copies) < len(positions):  # an image went away a moment ago
        return np.zeros(0, dtype=np.float32)
    altered = torch.from_numpy(np.array([grey_picture(copy) for copy in copies], dtype=np.uint8))
    return agreement(grey[positions], altered.reshape(-1, SIDE, SIDE)).numpy()


def _neighbours(queries: Tensor, keys: Tensor, *, k: int, itself: bool) -> Pairs:
    """Return pairs of each query with its nearest keys, (queries * k, 2)."""
    k = min(k, len(keys) - itself)
    if k < 1 or not len(queries):
        return np.zeros((0, 2), dtype=np.int64)
    _, places = top_k(queries, keys, k, exclude_self=itself)
    rows = torch.arange(len(queries)).repeat_interleave(k)
    return torch.stack([rows, places.flatten()], dim=1).numpy()


def _unique(pairs: Pairs, *, ordered: bool) -> Pairs:
    """Return each pair once, in rising order; the smaller position first unless order counts."""
    return np.unique(pairs if ordered else np.sort(pairs, axis=1), axis=0)


def _tiny(grey: Tensor) -> Tensor:
    """Return (N, 64) unit rows of tiny pictures less their mean: cosines are correlations."""
    small = [
        F.interpolate(block[:, None].float(), size=(TINY, TINY), mode="area").flatten(1)
        for block in torch.split(grey, 4096)
    ]
    rows = torch.cat([torch.zeros(0, TINY * TINY), *small])
    return unit_rows(rows - rows.mean(dim=1, keepdim=True))


def _bordered(grey: Tensor) -> Tensor:
    return grey[:, BORDER:-BORDER, BORDER:-BORDER]
