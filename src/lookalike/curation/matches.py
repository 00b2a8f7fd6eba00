"""Pairs of images that may be duplicates, scored detail by detail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike import _check
from lookalike.curation.agreement import Laid, lay
from lookalike.curation.album import Album
from lookalike.curation.candidates import (
    TURNS,
    Describer,
    Guesses,
    as_guesses,
    guess,
    joined,
    turned,
)
from lookalike.curation.copies import KINDS, SEARCHED, altered_copies
from lookalike.curation.looks import Looks, look_at, look_through, see
from lookalike.curation.threshold import LEAST, Threshold, choose_threshold
from lookalike.data.order import epoch_order
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.pairwise.similarity import top_k

Pairs = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Names = npt.NDArray[np.str_]

PLANTED = 25  # copies of each kind that tell what duplicates score, and how many are found
DECOYS = 2000  # at most, that tell what chance scores
LEARNT = 20_000  # pictures, at most, that say what tiny pictures have in common
TOGETHER = 1024  # pairs laid at a time
CROPPED = 0.85  # of the larger one's area: no more, and the smaller is a crop
TILTED = math.radians(0.8)
PALER = 0.05  # of the brightness: so far apart in colour, and a copy is recoloured
STRICT = 0.92  # least of what is not simply laid on: more ways to lie are more chances to agree
STAMPED = 0.04  # by so much the whole agrees less than without the blocks that agree least
ALTERED = "altered copy"
NAMED = {"barred": "framed"}  # bars are a frame on two sides


class _Asked(NamedTuple):
    """Pictures of images, the whole of each and then what is left without plain edges.

    grey: (M, 64, 64).
    owner: (M,) whose picture it is.
    """

    grey: Tensor
    owner: Pairs


@dataclass(frozen=True, eq=False)
class Matches:
    """Candidate pairs of images, and from what score on they count.

    Attributes:
        pairs: (P, 2) positions, none twice; of one set the smaller first, else of first and second.
        scores: (P,) how well their details agree, in [-1, 1].
        kinds: (P,) what one is of the other, such as "mirrored copy".
        cosines: (P,) what the encoder says of them, in [-1, 1]; nan where there is none.
        threshold: from what score on a pair counts.
        copies: scores of planted copies with their images, 0 where the search misses them.
        planted: their kinds.
        decoys: scores of the pairs that decoys make.
        searched: how many decoys were searched.
        weight: images for each decoy.
    """

    pairs: Pairs
    scores: Scores
    kinds: Names
    cosines: Scores
    threshold: Threshold
    copies: Scores
    planted: tuple[str, ...]
    decoys: Scores
    searched: int
    weight: float

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

    def at(self, precision: float) -> Matches:
        """Return the same pairs with the threshold for another precision; nothing is read again.

        Raises:
            ValueError: precision is not in (0, 1).
        """
        threshold = choose_threshold(
            self.scores,
            copies=self.copies,
            kinds=self.planted,
            decoys=self.decoys,
            searched=self.searched,
            weight=self.weight,
            precision=precision,
        )
        return replace(self, threshold=threshold)


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


def check_kinds(without: Sequence[str]) -> None:
    """Refuse kinds of copies that cannot be left out.

    Raises:
        ValueError: one is not in `SEARCHED`.
    """
    for kind in without:
        if kind not in SEARCHED:
            raise ValueError(f"without must be some of {', '.join(SEARCHED)}, got {kind!r}")


def find_matches(
    first: tuple[Album, Looks],
    second: tuple[Album, Looks] | None = None,
    *,
    precision: float,
    neighbours: int,
    seed: int,
    without: Sequence[str] = (),
) -> Matches:
    """Return the pairs of a set, or of two, that may be duplicates, and the threshold for them.

    Candidates are the nearest neighbours by tiny grey pictures, laid in every way that a copy may
    be, and those by the encoder's vectors, where there are any. So what one misses the other finds.

    Args:
        first: images, and how they look.
        second: those to pair them with; None pairs them with each other.
        precision: share of the found pairs that shall be right, in (0, 1).
        neighbours: candidates of an image by the encoder and by its picture as it is, >= 1.
        seed: of the copies and decoys.
        without: kinds of copies not to look for, some of `copies.SEARCHED`.

    Raises:
        ValueError: an option is out of its range.
    """
    _check.at_least(1, neighbours=neighbours)
    check_kinds(without)
    (album, looks), (other, others) = first, second or first
    alone = second is None
    grey, keys = torch.from_numpy(looks.grey), torch.from_numpy(others.grey)
    learnt = np.sort(epoch_order(len(others.grey), seed=seed, epoch=3)[:LEARNT])
    search = _Search(others, Describer(keys[learnt]), neighbours, tuple(without))

    found = search(looks, both_ways=not alone)
    if album.embeddings.vectors.shape[1] and other.embeddings.vectors.shape[1]:
        near = _neighbours(
            *(torch.from_numpy(each.embeddings.vectors) for each in (album, other)),
            k=neighbours,
            itself=alone,
        )
        laid = score_pairs(grey, keys, near)
        found = _Found.joined([found, _Found.of(near, as_guesses(near), laid, framed=False)])
    if alone:
        found = found.within()
    found = found.best()
    scores, kinds = found.rated(looks, others, without)
    pairs = found.pairs

    copies, planted = _score_copies(search, other, seed)
    decoys, searched = _score_decoys(search, looks, pairs[scores >= LEAST], seed, alone=alone)
    weight = len(album) / max(1, searched)
    threshold = choose_threshold(
        scores,
        copies=copies,
        kinds=planted,
        decoys=decoys,
        searched=searched,
        weight=weight,
        precision=precision,
    )
    cosines = _cosines(album, other, pairs)
    return Matches(
        pairs, scores, kinds, cosines, threshold, copies, planted, decoys, searched, weight
    )


def score_pairs(first: Tensor, second: Tensor, pairs: Pairs) -> Laid:
    """Return how well pairs of pictures agree that lie as they are.

    Args:
        first: (N, 64, 64) uint8.
        second: (M, 64, 64) uint8.
        pairs: (P, 2) positions in the first and in the second.
    """
    return _lay(second, first, as_guesses(pairs))


def compare(looks: Looks, pairs: Pairs, *, without: Sequence[str] = ()) -> tuple[Scores, Names]:
    """Return how well pairs of images of one set agree, laid in every way, and as what, (P,) each.

    Args:
        looks: how the images look.
        pairs: (P, 2) positions, the smaller first.
        without: kinds of copies that do not count.
    """
    search = _Search(looks, Describer(torch.from_numpy(looks.grey[:0])), 1, tuple(without))
    whole = as_guesses(pairs)
    ways = [whole._replace(turn=np.full(len(pairs), turn)) for turn in search.turns]
    pictures = _whole(looks)
    found = search.lay(joined(ways), pictures, pictures, alone=False).best()
    scores, kinds = found.rated(looks, looks, without)
    _, where = np.unique(pairs, axis=0, return_inverse=True)
    return scores[where.ravel()], kinds[where.ravel()]


@dataclass(frozen=True)
class _Found:
    """Guesses that were looked at: P pairs, how they lie and how well they agree."""

    pairs: Pairs
    turn: npt.NDArray[np.int64]
    scores: Scores
    plain: Scores
    warp: Scores
    framed: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls, pairs: Pairs, guesses: Guesses, laid: Laid, framed: bool | npt.NDArray[np.bool_]
    ) -> _Found:
        scores, plain, warp = (each.numpy() for each in (laid.scores, laid.plain, laid.warp))
        where = np.broadcast_to(np.asarray(framed), (len(pairs),))
        return cls(pairs, guesses.turn, scores, plain, warp, where)

    @classmethod
    def joined(cls, several: Sequence[_Found]) -> _Found:
        columns = zip(*(tuple(vars(each).values()) for each in several), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def select(self, places: npt.NDArray[Any]) -> _Found:
        return _Found(*(column[places] for column in vars(self).values()))

    def within(self) -> _Found:
        """Return the pairs of two images of one set, the smaller position first."""
        apart = self.select(self.pairs[:, 0] != self.pairs[:, 1])
        return replace(apart, pairs=np.sort(apart.pairs, axis=1))

    def best(self) -> _Found:
        """Return each pair once, as it agrees best, in rising order; of equals the plainest."""
        order = np.lexsort(
            (-self.scores, self.turn, self.framed, -self.scores.round(2), *self.pairs.T[::-1])
        )
        ordered = self.select(order)
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(ordered.pairs, axis=0) != 0).any(axis=1)
        return ordered.select(new)

    def rated(self, first: Looks, second: Looks, without: Sequence[str]) -> tuple[Scores, Names]:
        """Return how each pair agrees, and as what; 0 where that does not count."""
        kinds = self.name(first.colours, second.colours)
        scores = self.plain if "stamped" in without else self.scores
        left_out = [f"{NAMED.get(kind, kind)} copy" for kind in without]
        loose = ~np.isin(kinds, [ALTERED, "recoloured copy"]) & (scores < STRICT)
        return np.where(np.isin(kinds, left_out) | loose, 0, scores).astype(np.float32), kinds

    def name(self, first: Scores, second: Scores) -> Names:
        """Return what one of each pair is of the other, (P,); colours are as of `Looks`."""
        names = np.full(len(self.pairs), ALTERED, dtype="<U24")
        i, j = self.pairs.T
        names[_differ(first[i], second[j])] = "recoloured copy"
        names[self.scores - self.plain > STAMPED] = "stamped copy"
        xx, xy, yx, yy = (
            1 + self.warp[:, 2],
            self.warp[:, 3],
            self.warp[:, 4],
            1 + self.warp[:, 5],
        )
        names[np.abs(np.arctan2(yx - xy, xx + yy)) > TILTED] = "tilted copy"
        area = np.abs(xx * yy - xy * yx)
        names[np.minimum(area, 1 / np.maximum(area, 1e-6)) < CROPPED] = "cropped copy"
        names[self.framed] = "framed copy"  # by a frame, or by the bars of a screenshot
        names[np.isin(self.turn, (1, 2, 3))] = "turned copy"
        names[self.turn >= 4] = "mirrored copy"
        names[self.scores <= 0] = ""
        return names


@dataclass(frozen=True)
class _Search:
    """Finds images among others by how they look."""

    held: Looks
    describer: Describer
    neighbours: int
    without: tuple[str, ...]

    def __call__(self, looks: Looks, *, both_ways: bool) -> _Found:
        """Return the pairs (asked for, held) that may show the same, as they agree.

        Args:
            looks: the images asked for.
            both_ways: whether what is held may be a part of what is asked for, too; where both are
                the same set, that is asked anyway.
        """
        asked, held = self.pictures(looks), self.pictures(self.held)
        whole = self.guess(asked.grey, held.grey, turns=self.turns, parts=False)
        found = [self.lay(whole, asked, held, alone=looks is self.held)]
        if "cropped" not in self.without:
            one, other = _whole(looks), _whole(self.held)
            parts = self.guess(one.grey, other.grey, turns=(), parts=True)
            found.append(self.lay(parts, one, other, alone=looks is self.held))
            if both_ways:
                back = self.guess(other.grey, one.grey, turns=(), parts=True)
                laid = self.lay(back, other, one, alone=False)
                found.append(replace(laid, pairs=laid.pairs[:, ::-1]))
        return _Found.joined(found)

    @property
    def turns(self) -> tuple[int, ...]:
        """In which ways a picture is laid."""
        turns = [0]
        if "turned" not in self.without:
            turns += range(1, 4)
        if "mirrored" not in self.without:
            turns += range(4, TURNS) if "turned" not in self.without else (4, 6)
        return tuple(turns)

    def pictures(self, looks: Looks) -> _Asked:
        """Return the pictures that speak for images."""
        if "framed" in self.without:
            return _whole(looks)
        grey = torch.from_numpy(np.concatenate([looks.grey, looks.inner]))
        return _Asked(grey, np.concatenate([np.arange(len(looks.grey)), looks.framed]))

    def guess(self, asked: Tensor, held: Tensor, *, turns: tuple[int, ...], parts: bool) -> Guesses:
        """Return how pictures asked for may lie in those held."""
        return guess(
            asked, held, self.describer, neighbours=self.neighbours, turns=turns, parts=parts
        )

    def lay(self, guesses: Guesses, asked: _Asked, held: _Asked, *, alone: bool) -> _Found:
        """Return how pictures asked for agree with those held; alone, none with its own image."""
        if alone:
            guesses = guesses.select(
                np.flatnonzero(asked.owner[guesses.part] != held.owner[guesses.whole])
            ).once()
        laid = _lay(held.grey, asked.grey, guesses)
        inner = guesses.part >= asked.owner.max(initial=-1) + 1
        other = guesses.whole >= held.owner.max(initial=-1) + 1
        pairs = np.stack([asked.owner[guesses.part], held.owner[guesses.whole]], axis=1)
        return _Found.of(pairs, guesses, laid, inner != other)


def _whole(looks: Looks) -> _Asked:
    return _Asked(torch.from_numpy(looks.grey), np.arange(len(looks.grey)))


def _lay(held: Tensor, asked: Tensor, guesses: Guesses) -> Laid:
    """Lay the part of each guess on its whole."""
    parts = []
    for start in range(0, max(1, len(guesses.part)), TOGETHER):
        some = slice(start, start + TOGETHER)
        part, turn = asked[torch.from_numpy(guesses.part[some])], guesses.turn[some]
        for each in np.unique(turn[turn > 0]).tolist():
            where = torch.from_numpy(turn == each)
            part[where] = turned(part[where], each)
        whole = held[torch.from_numpy(guesses.whole[some])]
        parts.append(lay(whole, part, torch.from_numpy(guesses.window[some])))
    return Laid(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _score_copies(search: _Search, album: Album, seed: int) -> tuple[Scores, tuple[str, ...]]:
    """Plant copies of every kind looked for, look for them, and return how they agree."""
    kinds = tuple(kind for kind in KINDS if NAMED.get(kind, kind) not in search.without)
    order = epoch_order(len(album), seed=seed, epoch=1)
    positions = np.resize(order, PLANTED * len(kinds)) if len(album) else order
    copies = altered_copies(album.images, positions, kinds, seed=seed, max_pixels=album.max_pixels)
    if len(copies) < len(positions) or not copies:  # an image went away a moment ago
        return np.zeros(0, dtype=np.float32), ()
    looks = look_through(map(see, copies))
    found = search(looks, both_ways=False).best()
    right = found.pairs[:, 1] == positions[found.pairs[:, 0]]
    scores = np.zeros(len(positions), dtype=np.float32)
    scores[found.pairs[right, 0]] = found.rated(looks, search.held, search.without)[0][right]
    return scores, tuple(kinds[place % len(kinds)] for place in range(len(positions)))


def _score_decoys(
    search: _Search, looks: Looks, known: Pairs, seed: int, *, alone: bool
) -> tuple[Scores, int]:
    """Return how well pictures agree with decoys that cannot be copies, and how many there were.

    The left half of one image beside the right half of another is a decoy. A picture agrees with it
    as well as with its halves in the mean; but what is a copy of the one image is none of the
    other, and agrees by chance with the worse half alone. Two images that are copies of each other,
    or of one image of another set, make none.

    Args:
        search: how all images were looked for.
        looks: the images asked for.
        known: pairs of images that may be copies.
        seed: of the draw.
        alone: whether these are pairs of one set.
    """
    count = len(looks.grey)
    left = epoch_order(count, seed=seed, epoch=2)[:DECOYS]
    right = np.roll(epoch_order(count, seed=seed, epoch=2), 1)[:DECOYS]
    copies: dict[int, set[int]] = {}
    for one, other in known.tolist():
        copies.setdefault(one, {one} if alone else set()).add(other)
        if alone:
            copies.setdefault(other, {other}).add(one)
    # of one set, that two are not copies of each other is known; that both resemble a third is
    # what they have in common, and what decoys are to tell
    apart = [
        b not in copies.get(a, {a})
        if alone
        else a != b and copies.get(a, set()).isdisjoint(copies.get(b, set()))
        for a, b in zip(left.tolist(), right.tolist(), strict=True)
    ]
    left, right = left[apart], right[apart]
    middle = looks.grey.shape[2] // 2
    made = np.concatenate([looks.grey[left, :, :middle], looks.grey[right, :, middle:]], axis=2)
    grey, held = torch.from_numpy(made), torch.from_numpy(search.held.grey)
    guesses = search.guess(grey, held, turns=search.turns, parts="cropped" not in search.without)
    # the decoy is what is laid on, so that its halves are where they were put
    laid = _lay(grey, held, guesses.turned_round())
    best: dict[tuple[int, int], float] = {}
    sides = zip(guesses.part.tolist(), guesses.whole.tolist(), laid.halves.tolist(), strict=True)
    for decoy, place, halves in sides:
        parents = (int(left[decoy]), int(right[decoy]))
        copied = any(place in copies.get(each, {each} if alone else ()) for each in parents)
        score = min(halves) if copied else sum(halves) / 2
        best[decoy, place] = max(score, best.get((decoy, place), -1.0))
    return np.array(list(best.values()), dtype=np.float32), len(left)


def _differ(first: Scores, second: Scores) -> npt.NDArray[np.bool_]:
    """Return whether pictures differ in colour, (P,), beyond being brighter."""
    light = [each[:, :3].mean(axis=1, keepdims=True).clip(0.02) for each in (first, second)]
    apart = np.abs(first / light[0] - second / light[1]).max(axis=1, initial=0.0)
    return np.asarray(apart > PALER)


def _cosines(album: Album, other: Album, pairs: Pairs) -> Scores:
    first, second = album.embeddings.vectors, other.embeddings.vectors
    if not (first.shape[1] and second.shape[1]):
        return np.full(len(pairs), np.nan, dtype=np.float32)
    i, j = pairs.T
    cosines: Scores = np.einsum("pd,pd->p", first[i], second[j]).astype(np.float32)
    return cosines


def _neighbours(queries: Tensor, keys: Tensor, *, k: int, itself: bool) -> Pairs:
    """Return pairs of each query with its nearest keys, (queries * k, 2)."""
    k = min(k, len(keys) - itself)
    if k < 1 or not len(queries):
        return np.zeros((0, 2), dtype=np.int64)
    _, places = top_k(queries, keys, k, exclude_self=itself)
    rows = torch.arange(len(queries)).repeat_interleave(k)
    pairs: Pairs = torch.stack([rows, places.flatten()], dim=1).numpy()
    return np.unique(np.sort(pairs, axis=1), axis=0) if itself else pairs
