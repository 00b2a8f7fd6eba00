"""Which images vote and which are asked, so that no image is ever asked about itself."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lookalike.data.decode import UnreadableImage
from lookalike.data.image_set import ImageSet
from lookalike.data.sources import open_source, splits
from lookalike.errors import UsageError
from lookalike.evaluation.linear_probe import stratified_part

ASKED = 0.25  # share of each class that is asked about, where a source has to be split

Source = str | Path | ImageSet


class Sides(NamedTuple):
    """Who votes and who is asked; both sides number the same classes in the same way.

    queries: the images asked about.
    bank: the images that vote; None where the other queries do, or where nobody can.
    has_labels: whether anybody can vote.
    reason: why these, in a sentence.
    """

    queries: ImageSet
    bank: ImageSet | None
    has_labels: bool
    reason: str


def choose_sides(
    source: Source,
    *,
    bank: Source | None = None,
    split: str | None = None,
    trained_on: Source | None = None,
    seed: int = 0,
) -> Sides:
    """Choose who votes on whom, by the first of these that can be done.

    1. `bank` votes, if given; 2. the train split votes, if the source comes in splits; 3. what the
    encoder was trained on votes, if it has the same classes; 4. the source is split, a quarter of
    each class asked. In 1 and 3, what is also asked about does not vote. If 1 or 2 leave no class
    on both sides, as where classes are unseen by design, each query is asked of all others.

    Args:
        source: the images to measure on; of one in splits, the other than train.
        bank: images to vote.
        split: the part of `source` to ask about instead.
        trained_on: images that the encoder was trained on.
        seed: of the split in 4.

    Raises:
        UsageError: a source or split cannot be, or `bank` has no labels or only the images asked.
        DataError: there are no images.
    """
    queries, official = _queries_and_train(source, split)
    if not _classes(queries):
        return Sides(queries, None, False, f"{queries.name} has no labels, so nobody can vote")
    if bank is not None:
        voters = _without_copies(_opened(bank), queries)
        if not _classes(voters):
            raise UsageError(
                f"the bank {voters.name} has no labelled image that is not asked about itself\n"
                "  fix: name other labelled images as the bank, or none"
            )
        return _voting(queries, voters, f"{voters.name} votes on {queries.name}, as asked")
    if official is not None and _classes(official):
        return _voting(
            queries,
            official,
            f"the source comes in splits: {_name(official)} votes on {_name(queries)}",
        )
    if trained_on is not None:
        trained = _opened(trained_on)
        if _common(trained, queries):
            voters = _without_copies(trained, queries)
            if _common(voters, queries):
                return _voting(
                    queries, voters, f"{_name(voters)}, seen in training, votes on {_name(queries)}"
                )
    return _split(queries, seed)


def _voting(queries: ImageSet, bank: ImageSet, reason: str) -> Sides:
    """Return these sides, or leave-one-out if they have no class in common."""
    if _common(bank, queries):
        names = tuple(dict.fromkeys([*_classes(bank), *_classes(queries)]))
        return Sides(_numbered(queries, names), _numbered(bank, names), True, reason)
    reason = f"{_name(bank)} has none of the classes of {_name(queries)}"
    if len(_classes(queries)) == int((queries.labels >= 0).sum()):
        return Sides(queries, None, False, f"{reason}, and those have one image each: no votes")
    return Sides(
        _numbered(queries, _classes(queries)),
        None,
        True,
        f"{reason}, so all other images of {_name(queries)} vote on each (leave one out); the "
        f"linear probe is fitted on {1 - ASKED:.0%} of each class and asked about the rest",
    )


def _split(images: ImageSet, seed: int) -> Sides:
    """Ask about a quarter of each class, and let the rest vote."""
    images = _numbered(images, _classes(images))
    if len(images.class_names) < 2:
        return Sides(images, None, False, f"{_name(images)} has one class, so votes say nothing")
    labelled = np.flatnonzero(images.labels >= 0)
    drawn = stratified_part(images.labels[labelled], share=ASKED, seed=seed)
    if not drawn.any():
        return Sides(images, None, False, f"{_name(images)} has one image a class: no votes")
    return Sides(
        images.select(labelled[drawn]),
        images.select(labelled[~drawn]),
        True,
        f"{_name(images)} has no split of its own: {1 - ASKED:.0%} of each class vote on the rest "
        f"(drawn with seed {seed})",
    )


def _queries_and_train(source: Source, split: str | None) -> tuple[ImageSet, ImageSet | None]:
    """Return the images to ask about and, if the source comes in splits, those to train on."""
    if isinstance(source, ImageSet):
        if split is not None:
            raise UsageError(f"split {split!r} needs a source by name or path, not opened images")
        return source, None
    names = splits(source)
    if split is None:
        others = [name for name in names if name not in {"train", "unlabeled"}]
        split = "test" if "test" in others else next(iter(others), None)
    queries = open_source(source, split=split)
    if queries.split in {None, "train"}:
        return queries, None
    whole = source if names else Path(source).parent  # "hands/test" is a part of "hands"
    return queries, open_source(whole, split="train") if "train" in splits(whole) else None


def _without_copies(bank: ImageSet, queries: ImageSet) -> ImageSet:
    """Return the images of a bank that are not, byte for byte, among the queries."""
    asked = {_digest(queries, position) for position in range(len(queries))}
    kept = [place for place in range(len(bank)) if _digest(bank, place) not in asked]
    return bank.select(kept)


def _digest(images: ImageSet, position: int) -> bytes:
    try:
        raw = images.read(position)
    except UnreadableImage:
        return b""
    content = raw if isinstance(raw, bytes) else np.ascontiguousarray(raw).tobytes()
    return hashlib.blake2b(content, digest_size=16).digest()


def _opened(source: Source) -> ImageSet:
    return source if isinstance(source, ImageSet) else open_source(source)


def _classes(images: ImageSet) -> tuple[str, ...]:
    """Return the names of the classes that images are known to be of."""
    return tuple(images.class_names[label] for label in np.unique(images.labels) if label >= 0)


def _common(first: ImageSet, second: ImageSet) -> bool:
    """Return whether there is a class with images on both sides."""
    return not set(_classes(first)).isdisjoint(_classes(second))


def _numbered(images: ImageSet, names: tuple[str, ...]) -> ImageSet:
    """Return the images with their classes numbered by these names."""
    place = {name: number for number, name in enumerate(names)}
    numbers = [place.get(name, -1) for name in images.class_names]
    labels = np.array([*numbers, -1])[images.labels]  # an unknown label, -1, finds the last
    return replace(images, labels=labels, class_names=names)


def _name(images: ImageSet) -> str:
    return f"{images.name}/{images.split}" if images.split else images.name
