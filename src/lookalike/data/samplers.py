"""Epochs laid out by class, by identity or by pair: functions of seed and epoch alone.

So a resumed run goes on in the middle of an epoch, and any number of processes share its batches,
without a state to keep. Batches of P classes with K images each are those of Hermans et al. 2017,
arXiv:1703.07737, section 2; identities among other images those of Schroff et al. 2015,
arXiv:1503.03832, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lookalike import _check
from lookalike.data.order import epoch_order, random_keys
from lookalike.data.pairs import Pairs

Positions = npt.NDArray[np.int64]


class Layout(NamedTuple):
    """An epoch, laid out.

    positions: (E,) of its images, batch after batch.
    similar: (E / 2,) whether images 2 i and 2 i + 1 are alike; None where they are no pairs.
    """

    positions: Positions
    similar: npt.NDArray[np.bool_] | None = None


class Order(Protocol):
    """How an epoch is laid out."""

    def lay_out(self, labels: Positions, *, batch_size: int, seed: int, epoch: int) -> Layout:
        """Return an epoch; every one has as many images.

        Args:
            labels: (N,) of the images, -1 where unknown.
            batch_size: images of a batch, over all processes.
            seed: at least 0.
            epoch: at least 0.

        Raises:
            ValueError: these images cannot be laid out so.
        """


@dataclass(frozen=True)
class Shuffled:
    """Every image once, in any order."""

    def lay_out(self, labels: Positions, *, batch_size: int, seed: int, epoch: int) -> Layout:
        """Return `epoch_order`."""
        return Layout(epoch_order(len(labels), seed=seed, epoch=epoch))


SHUFFLED = Shuffled()


@dataclass(frozen=True)
class Classes:
    """Some images of each of a batch's classes; see `class_order`."""

    per_class: int

    def lay_out(self, labels: Positions, *, batch_size: int, seed: int, epoch: int) -> Layout:
        """Return `class_order` for batches of this size."""
        if batch_size % self.per_class:
            raise ValueError(
                f"batch_size must be a multiple of {self.per_class} images a class, "
                f"got {batch_size}"
            )
        order = class_order(
            labels,
            per_class=self.per_class,
            classes_per_batch=batch_size // self.per_class,
            seed=seed,
            epoch=epoch,
        )
        return Layout(order)


@dataclass(frozen=True)
class Identities:
    """Many images of a few identities among images of others; see `identity_order`."""

    per_class: int

    def lay_out(self, labels: Positions, *, batch_size: int, seed: int, epoch: int) -> Layout:
        """Return `identity_order` for batches of this size."""
        order = identity_order(
            labels, batch_size=batch_size, per_class=self.per_class, seed=seed, epoch=epoch
        )
        return Layout(order)


@dataclass(frozen=True)
class Paired:
    """The pairs of a table, image beside image; see `pair_order`."""

    pairs: Pairs
    balanced: bool

    @property
    def images(self) -> int:
        """Images of an epoch, each as often as it comes."""
        count = len(self.pairs)
        return 2 * (max(count - count % 2, 2) if self.balanced else count)

    def lay_out(self, labels: Positions, *, batch_size: int, seed: int, epoch: int) -> Layout:
        """Return the images in the rows of `pair_order`, whatever their labels.

        Raises:
            ValueError: a batch would end within a pair.
        """
        if batch_size % 2:
            raise ValueError(f"batch_size must be even, to hold whole pairs, got {batch_size}")
        similar, images = self.pairs.same, np.stack([self.pairs.first, self.pairs.second], axis=1)
        rows = pair_order(similar, balanced=self.balanced, seed=seed, epoch=epoch)
        return Layout(images.ravel()[rows], similar[rows[::2] // 2])


def class_order(
    labels: Positions, *, per_class: int, classes_per_batch: int, seed: int, epoch: int
) -> Positions:
    """Lay out batches of P classes with K images each: (E,) positions, K of one class in a row.

    Classes come in shuffled rounds, so that each comes as often as any other, or once more; a round
    goes on from one batch to the next, and no class comes twice into a batch. The images of a class
    come in a shuffled order, over and over, so that each comes as often as any other of its class,
    or once more. A class of fewer than K images repeats them within a group.

    Args:
        labels: (N,) classes; images of label -1 take no part.
        per_class: K >= 1.
        classes_per_batch: P >= 2.
        seed: at least 0.
        epoch: at least 0.

    Returns:
        (E,) int64, E the most whole batches of P K that are no more than the labelled images, or
        one batch.

    Raises:
        ValueError: there are fewer than 2 classes or than P, or no class has K images.
    """
    _check.at_least(1, per_class=per_class)
    _check.at_least(2, classes_per_batch=classes_per_batch)
    classes = _by_class(labels, seed=seed, epoch=epoch)
    if len(classes.counts) < classes_per_batch:
        raise ValueError(
            f"classes_per_batch must be at most the {len(classes.counts)} classes there are, "
            f"got {classes_per_batch}"
        )
    most = int(classes.counts.max())
    if per_class > most:
        raise ValueError(
            f"per_class must be at most {most}, the images of the largest class, got {per_class}"
        )
    batches = max(len(classes.positions) // (per_class * classes_per_batch), 1)
    rounds = _rounds(
        len(classes.counts), batches, classes_per_batch, skip=len(labels), seed=seed, epoch=epoch
    )
    return classes.groups(rounds.ravel(), per_class).ravel()


def identity_order(
    labels: Positions,
    *,
    batch_size: int,
    per_class: int = 40,
    identities: int | None = None,
    seed: int,
    epoch: int,
) -> Positions:
    """Lay out batches of a few identities with many images each, filled up with images of others.

    Identities come in shuffled rounds, as classes do in `class_order`; those of a single image are
    only ever among the others. The others are dealt from a shuffled deck of all images.

    Args:
        labels: (N,) identities; images of label -1 take no part.
        batch_size: images of a batch.
        per_class: images of an identity, >= 2; all that it has if it has fewer (paper: about 40).
        identities: of a batch; none: half a batch of `per_class` each, at least one. The paper does
            not say how many.
        seed: at least 0.
        epoch: at least 0.

    Returns:
        (E,) int64: a batch's identities, one after the other, and then its others; no image twice
        in a batch. E is the most whole batches that are no more than the labelled images.

    Raises:
        ValueError: there are fewer than 2 identities or than are wanted, they leave no room for
            others, or there are not enough others.
    """
    _check.at_least(2, per_class=per_class)
    if identities is None:
        identities = max(batch_size // (2 * per_class), 1)
    _check.at_least(1, identities=identities)
    classes = _by_class(labels, seed=seed, epoch=epoch)
    several = np.flatnonzero(classes.counts > 1)
    count = len(classes.positions)
    if len(several) < identities:
        raise ValueError(
            f"identities must be at most {len(several)}, those of 2 images or more, "
            f"got {identities}"
        )
    if identities * per_class >= batch_size:
        raise ValueError(
            f"batch_size must be above {identities} identities of {per_class} images, to leave "
            f"room for others, got {batch_size}"
        )
    # An identity keeps out of a batch's others even where it has more images than are taken of it.
    kept_out = np.sort(np.maximum(classes.counts - per_class, 0))[-identities:].sum()
    if count - kept_out < batch_size:
        raise ValueError(
            f"batch_size must be at most {count - kept_out}, as identities of a batch may keep "
            f"{kept_out} of {count} images out of it, got {batch_size}"
        )
    batches, skip = count // batch_size, 2 * len(labels)
    keys = random_keys(skip, seed=seed, epoch=epoch)[len(labels) :][classes.positions]
    deck = np.tile(classes.positions[np.argsort(keys, kind="stable")], 2)
    rounds = several[
        _rounds(len(several), batches, identities, skip=skip, seed=seed, epoch=epoch)
    ]  # (batches, identities)
    groups = classes.groups(rounds.ravel(), per_class).reshape(batches, identities, per_class)
    taken = np.arange(per_class) < classes.counts[rounds][:, :, None]
    laid, dealt = [], 0
    for chosen, group, kept in zip(rounds, groups, taken, strict=True):
        mine = group[kept]
        wanted, apart = batch_size - len(mine), classes.names[chosen]
        others, used = _deal(deck[dealt : dealt + count], labels, apart=apart, count=wanted)
        dealt = (dealt + used) % count
        laid += [mine, others]
    return np.concatenate(laid)


def pair_order(
    similar: npt.NDArray[np.bool_], *, balanced: bool = False, seed: int, epoch: int
) -> Positions:
    """Lay out a table of pairs, whose pair i is in rows 2 i and 2 i + 1: (2 E,) rows, pair by pair.

    Args:
        similar: (M,) whether the images of a pair are alike.
        balanced: a similar pair and a dissimilar one in turn, M // 2 of each or one: of the kind
            that has more, others in another epoch; of the one that has fewer, all equally often, or
            once more. Else every pair once.
        seed: at least 0.
        epoch: at least 0.

    Raises:
        ValueError: balanced, and all pairs are of one kind.
    """
    pairs = epoch_order(len(similar), seed=seed, epoch=epoch)
    if balanced:
        kinds = pairs[similar[pairs]], pairs[~similar[pairs]]
        if not (len(kinds[0]) and len(kinds[1])):
            kind = "similar" if len(kinds[0]) else "dissimilar"
            raise ValueError(f"similar must tell pairs of both kinds to be balanced, got {kind}")
        half = max(len(similar) // 2, 1)
        pairs = np.stack([np.resize(kind, half) for kind in kinds], axis=1).ravel()
    return np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()


def appearances(values: Positions) -> Positions:
    """Return how often each value has come before, (N,)."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    counted = np.empty_like(values)
    lengths = np.diff(starts, append=len(values))
    counted[order] = np.arange(len(values)) - np.repeat(starts, lengths)
    return counted


class _ByClass(NamedTuple):
    """Labelled images, class by class, shuffled in each.

    positions: (n,) where they are among all images.
    names: (C,) labels of the classes, ascending.
    starts: (C,) where each begins in `positions`.
    counts: (C,) images of each.
    """

    positions: Positions
    names: Positions
    starts: Positions
    counts: Positions

    def groups(self, classes: Positions, size: int) -> Positions:
        """Return (G, size) positions of the next images of each of G classes, over and over."""
        places = appearances(classes)[:, None] * size + np.arange(size)
        return self.positions[self.starts[classes, None] + places % self.counts[classes, None]]


def _by_class(labels: Positions, *, seed: int, epoch: int) -> _ByClass:
    known = np.flatnonzero(labels >= 0)
    keys = random_keys(len(labels), seed=seed, epoch=epoch)
    order = known[np.lexsort((keys[known], labels[known]))]
    names, counts = np.unique(labels[known], return_counts=True)
    if len(names) < 2:
        raise ValueError(f"labels must be of at least 2 classes, got {len(names)}")
    return _ByClass(order, names, np.cumsum(counts) - counts, counts)


def _rounds(
    classes: int, batches: int, per_batch: int, *, skip: int, seed: int, epoch: int
) -> Positions:
    """Return (batches, per_batch) classes, in shuffled rounds, and no batch has one twice."""
    count = -(-batches * per_batch // classes)
    keys = random_keys(skip + count * classes, seed=seed, epoch=epoch)[skip:]
    rounds = np.argsort(keys.reshape(count, classes), axis=1, kind="stable")
    for number in range(1, count):
        shared = number * classes % per_batch  # slots of a batch that the round before has filled
        if shared:
            before, following = rounds[number - 1 : number + 1]
            apart = ~np.isin(following, before[-shared:])
            soon = apart & (np.cumsum(apart) <= per_batch - shared)
            rounds[number] = following[np.argsort(~soon, kind="stable")]
    return rounds.ravel()[: batches * per_batch].reshape(batches, per_batch)


def _deal(
    deck: Positions, labels: Positions, *, apart: Positions, count: int
) -> tuple[Positions, int]:
    """Return the first `count` images of a deck that are of other classes, and where they end."""
    ahead = count
    while True:
        free = np.flatnonzero(~np.isin(labels[deck[:ahead]], apart))[:count]
        if len(free) == count:
            return deck[free], int(free[-1]) + 1
        ahead *= 2
