"""Which images may show the same, and how one would then lie in the other.

Tiny grey pictures ask each other: as they are, turned and mirrored in all eight ways, without their
frames, and each as a part of the others. What is near is a guess, to be laid on and looked at in
detail. Tiny pictures are compared after their common looks are taken off and what varies most is
damped (whitened in part: Jegou and Chum 2012, "Negative evidences and co-occurrences in image
retrieval"), or else photos of one kind would all be near.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from lookalike.pairwise.similarity import top_k, unit_rows

Numbers = npt.NDArray[np.int64]

SIDE = 64  # pixels of a grey picture
TINY = 8  # pixels a side of the tiny pictures
TOGETHER = 4096  # pictures at a time
TURNS = 8  # ways to lay a picture: turned by 0, 90, 180, 270 degrees, and mirrored after that
PARTS = ((56, 3), (46, 4))  # pixels a side of the parts, and how many places along a side
WIDTH = 48  # numbers a tiny picture is told in
DAMPED = 0.5  # power of the spread along a direction that is divided out; 1 would whiten
NEAR = 0.7  # least cosine of two tiny pictures that are laid on each other
FEW = 50  # pictures that would look alike in nothing, and are counted in
WHOLE = (0.0, 0.0, 1.0)


class Guesses(NamedTuple):
    """How P pairs of pictures may lie in each other.

    whole: (P,) positions of the pictures that hold the other.
    part: (P,) positions of those that lie in them.
    turn: (P,) how the part is laid, from 0 to 7; see `turned`.
    window: (P, 3) where: the centre's x and y, from -1 to 1, and the share of the sides.
    """

    whole: Numbers
    part: Numbers
    turn: Numbers
    window: npt.NDArray[np.float32]

    def turned_round(self) -> Guesses:
        """Return how the wholes lie in the parts, and reach beyond them."""
        # what mirrors undoes itself; quarter turns are undone by the rest of a whole turn
        turn = np.where(self.turn < 4, (4 - self.turn) % 4, self.turn)
        middle, share = self.window[:, :2], self.window[:, 2:]
        window = np.concatenate([-middle / share, 1 / share], axis=1).astype(np.float32)
        return Guesses(self.part, self.whole, turn, window)

    def once(self) -> Guesses:
        """Return each guess about pictures of one set once, whichever of two asked for the other.

        Where a picture lies in a part of another, the two are not exchanged.
        """
        back = self.turned_round()
        swap = (self.part > self.whole) & (self.window[:, 2] == 1)
        columns = zip(back[:3], self[:3], strict=True)
        whole, part, turn = (np.where(swap, one, other) for one, other in columns)
        keys = np.concatenate([np.stack([whole, part, turn], axis=1), self.window], axis=1)
        _, first = np.unique(keys, axis=0, return_index=True)
        return Guesses(whole[first], part[first], turn[first], self.window[first])

    def select(self, places: Numbers) -> Guesses:
        """Return those at these places."""
        return Guesses(
            self.whole[places], self.part[places], self.turn[places], self.window[places]
        )


class Describer:
    """Tells tiny pictures in numbers whose cosines are high for copies, and low for others."""

    def __init__(self, grey: Tensor) -> None:
        """Learn what the pictures have in common.

        Args:
            grey: (N, 64, 64) uint8.
        """
        rows = _tiny(grey).double()
        # few pictures do not say what they have in common: a copy may be half of them
        self.mean = rows.sum(dim=0) / (len(rows) + FEW)
        centred = rows - self.mean
        even = FEW / rows.shape[1] * torch.eye(rows.shape[1]).double()
        spread, axes = torch.linalg.eigh((centred.T @ centred + even) / (len(rows) + FEW))
        # a direction in which next to nothing varies is not blown up: two percent of all is added
        damped = (spread.clamp_min(0) + 0.02 * spread.mean().clamp_min(1e-9)).pow(-DAMPED / 2)
        self.axes = (axes * damped)[:, -WIDTH:].float()
        self.mean = self.mean.float()

    def __call__(self, grey: Tensor) -> Tensor:
        """Return (N, 48) unit rows of (N, H, W) grey pictures."""
        return unit_rows((_tiny(grey) - self.mean) @ self.axes)


def turned(grey: Tensor, turn: int) -> Tensor:
    """Return (N, S, S) pictures laid another way.

    Args:
        grey: the pictures.
        turn: quarter turns counterclockwise, 0 to 3; 4 more mirror the outcome left to right.
    """
    laid = torch.rot90(grey, turn % 4, dims=(-2, -1))
    return laid.flip(-1) if turn >= 4 else laid


def guess(
    first: Tensor,
    second: Tensor,
    describer: Describer,
    *,
    neighbours: int,
    turns: tuple[int, ...],
    parts: bool,
) -> Guesses:
    """Return how pictures of the first set may lie in those of the second.

    Each of the first asks for its nearest of the second. Given the same set twice, each picture
    finds itself as well.

    Args:
        first: (N, 64, 64) uint8.
        second: (M, 64, 64) uint8.
        describer: what they are told by.
        neighbours: of a picture as it is, and of each other way to lay it a third of that.
        turns: in which ways to lay the first, from 0 to 7.
        parts: whether to look for the first in parts of the second, too.
    """
    keys = describer(second)
    found = []
    queries = describer(first)
    for turn in turns:
        asked = queries if turn == 0 else describer(turned(first, turn))
        k = neighbours if turn == 0 else max(1, neighbours // 3)
        found.append(_nearest(asked, keys, k, turn=turn, window=WHOLE))
    if parts:
        found.append(_parts(queries, second, describer, neighbours))
    return joined(found)


def joined(guesses: list[Guesses]) -> Guesses:
    """Return all guesses as one."""
    return Guesses(*(np.concatenate(columns) for columns in zip(*guesses, strict=True)))


def as_guesses(pairs: Numbers) -> Guesses:
    """Return (P, 2) pairs as pictures that lie in each other as they are."""
    count = len(pairs)
    window = np.tile(np.array(WHOLE, dtype=np.float32), (count, 1))
    return Guesses(pairs[:, 1], pairs[:, 0], np.zeros(count, dtype=np.int64), window)


def _parts(queries: Tensor, second: Tensor, describer: Describer, neighbours: int) -> Guesses:
    """Return in which parts of the second set's pictures those asked for may be."""
    count, k = len(queries), min(2, len(second))
    if not (count and k):
        return as_guesses(np.zeros((0, 2), dtype=np.int64))
    best = torch.full((count, neighbours), -torch.inf)
    where = torch.zeros(count, neighbours, dtype=torch.int64)
    which = torch.zeros(count, neighbours, dtype=torch.int64)
    windows: list[tuple[float, float, float]] = []
    for side, steps in PARTS:
        for top in np.linspace(0, SIDE - side, steps).round().astype(int).tolist():
            for left in np.linspace(0, SIDE - side, steps).round().astype(int).tolist():
                middle = ((2 * left + side) / SIDE - 1, (2 * top + side) / SIDE - 1)
                keys = describer(second[:, top : top + side, left : left + side])
                values, places = top_k(queries, keys, k)
                # of one picture's parts the best alone counts, or they would crowd out all others
                for column in range(k):
                    value, place = values[:, column], places[:, column]
                    same = (where == place[:, None]) & best.isfinite()
                    at = torch.where(same.any(dim=1), same.int().argmax(dim=1), best.argmin(dim=1))
                    rows = torch.arange(count)
                    better = value > best[rows, at]
                    rows, at = rows[better], at[better]
                    best[rows, at], where[rows, at] = value[better], place[better]
                    which[rows, at] = len(windows)
                windows.append((*middle, side / SIDE))
    rows, columns = torch.nonzero(best >= NEAR, as_tuple=True)
    window = np.array(windows, dtype=np.float32)[which[rows, columns].numpy()]
    part, whole = rows.numpy(), where[rows, columns].numpy()
    return Guesses(whole, part, np.zeros(len(part), dtype=np.int64), window)


def _nearest(
    queries: Tensor, keys: Tensor, k: int, *, turn: int, window: tuple[float, float, float]
) -> Guesses:
    k = min(k + 1, len(keys))  # one more: itself
    if not (k and len(queries)):
        return as_guesses(np.zeros((0, 2), dtype=np.int64))
    values, places = top_k(queries, keys, k)
    rows, columns = torch.nonzero(values >= NEAR, as_tuple=True)
    part, whole = rows.numpy(), places[rows, columns].numpy()
    return Guesses(
        whole,
        part,
        np.full(len(part), turn, dtype=np.int64),
        np.tile(np.array(window, dtype=np.float32), (len(part), 1)),
    )


def _tiny(grey: Tensor) -> Tensor:
    """Return (N, 64) unit rows of tiny pictures less their mean: cosines are correlations."""
    small = [
        F.interpolate(block[:, None].float(), size=(TINY, TINY), mode="area").flatten(1)
        for block in torch.split(grey, TOGETHER)
    ]
    rows = torch.cat([torch.zeros(0, TINY * TINY), *small])
    return unit_rows(rows - rows.mean(dim=1, keepdim=True))
