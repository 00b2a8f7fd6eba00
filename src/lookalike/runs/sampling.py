"""How batches are drawn: what the user asked for, what the method wants and what the data allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from lookalike.data.pairs import Pairs
from lookalike.data.samplers import SHUFFLED, Classes, Identities, Order, Paired
from lookalike.errors import UsageError
from lookalike.methods.base import Method
from lookalike.runs.asked import Asked
from lookalike.runs.facts import Facts
from lookalike.solved.base import Solved

SHARED: Final = 8
"""Processes that can share a batch whose size was left open, and so can any divisor of these."""

_ORDERS: Final[Mapping[str, Callable[[int], Order]]] = {
    "classes": Classes,
    "identities": Identities,
}


class Sampling(NamedTuple):
    """How batches are drawn.

    name: shuffled, classes, identities or pairs.
    images_per_class: in a batch; None where classes play no part.
    batch_size: images a step, over all processes.
    pairs: that batches are of; None where they are of images.
    """

    name: str
    images_per_class: int | None
    batch_size: int
    pairs: Paired | None = None

    @property
    def order(self) -> Order:
        """How an epoch is laid out."""
        if self.pairs is not None:
            return self.pairs
        if self.images_per_class is None:
            return SHUFFLED
        return _ORDERS[self.name](self.images_per_class)


def needs_labels(asked: str | None, method: type[Method] | type[Solved]) -> bool:
    """Return whether training looks at labels, given the sampling that was asked for."""
    return method.needs_labels or (asked or method.sampling) != "shuffled"


def refuse_beside_pairs(asked: Asked, method: type[Method] | type[Solved]) -> None:
    """Refuse what does not go with a table of pairs, or not without one.

    Args:
        asked: of `lookalike.train`.
        method: the training scheme.

    Raises:
        UsageError: the method learns from no pairs, or a setting says nothing of them.
    """
    if asked.pairs is None:
        if asked.pairs_balanced is not None:
            raise UsageError(
                "--pairs-balanced says nothing without pairs\n  fix: leave it out, or --pairs FILE"
            )
        return
    if not Path(asked.pairs).is_file():
        raise UsageError(
            f"--pairs {asked.pairs} is no file\n"
            "  fix: name a .csv or .parquet of path_a, path_b and same, or LFW's pairs.txt"
        )
    if not method.takes_pairs:
        raise UsageError(
            f"--method {asked.method} learns from no pairs\n"
            "  fix: leave out --pairs, or --method drlim"
        )
    for name, why in _NOT_OF_PAIRS.items():
        if getattr(asked, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} does not go with --pairs: {why}\n  fix: leave one out")
    of_labels = [f"--loss.{name}" for name in asked.loss_arguments or () if name != "margin"]
    if (asked.method_arguments or {}).get("memory"):
        of_labels.append("--method.memory")
    if of_labels:
        raise UsageError(
            f"{of_labels[0]} does not go with --pairs: it is of labelled batches\n"
            "  fix: leave one out"
        )


_NOT_OF_PAIRS: Final[Mapping[str, str]] = {
    "sampling": "batches are then of the pairs",
    "images_per_class": "batches are then of the pairs",
    "limit": "it leaves out images, and pairs need theirs",
    "loss": "it learns from labels, and the loss of pairs is the method's own",
}


def choose_sampling(
    asked: Asked,
    method: type[Method],
    facts: Facts,
    *,
    usual: tuple[int, str],
    fill: Callable[[str, Any, tuple[Any, str]], Any],
) -> Sampling:
    """Return how batches are drawn.

    Args:
        asked: of `lookalike.train`.
        method: the training scheme.
        facts: what the choices depend on.
        usual: size of a batch where classes play no part, and why.
        fill: fills in what was left open, by name, and remembers why.

    Raises:
        UsageError: the data have too few classes, or the numbers do not fit each other.
    """
    name, size = asked.sampling or method.sampling, asked.batch_size
    if facts.pairs is not None:
        return _of_pairs(asked, facts.pairs, usual=usual, fill=fill)
    if name == "shuffled":
        if asked.images_per_class is not None:
            raise UsageError(
                "--images-per-class says nothing where batches are drawn from all images alike\n"
                "  fix: leave it out, or --sampling classes"
            )
        return Sampling(name, None, fill("batch_size", size, usual))
    fill("sampling", asked.sampling, (name, "the method's"))
    each = fill(
        "images_per_class", asked.images_per_class, (method.images_per_class, "the method's")
    )
    if name == "identities":
        return Sampling(name, each, fill("batch_size", size, usual))
    if each > facts.largest_class:
        raise UsageError(
            f"--images-per-class {each} is more than any class has images\n"
            f"  fix: --images-per-class {facts.largest_class}"
        )
    if size is not None:
        _refuse_uneven(size, each, facts.classes)
    count = max(min(usual[0] // each, facts.classes), 2)
    even = SHARED // math.gcd(SHARED, each)
    count -= count % even if count > even else 0
    all_of_them = "all " if count == facts.classes else ""
    reason = f"{all_of_them}{count} classes, {each} images of each"
    return Sampling(name, each, fill("batch_size", size, (count * each, reason)))


def _of_pairs(
    asked: Asked,
    pairs: Pairs,
    *,
    usual: tuple[int, str],
    fill: Callable[[str, Any, tuple[Any, str]], Any],
) -> Sampling:
    alike = int(pairs.same.sum())
    reason = f"{alike:,} alike and {len(pairs) - alike:,} not, in turn: no kind drowns the other"
    drawn = Paired(pairs, fill("pairs_balanced", asked.pairs_balanced, (True, reason)))
    size = fill("batch_size", asked.batch_size, usual)
    if size % 2:
        raise UsageError(
            f"--batch-size {size} is odd, and a batch is of whole pairs\n"
            f"  fix: --batch-size {size - 1} or --batch-size {size + 1}"
        )
    if size > drawn.images:
        raise UsageError(
            f"--batch-size {size} takes {size // 2} pairs, and an epoch has {drawn.images // 2}\n"
            f"  fix: --batch-size {drawn.images}, or leave it out"
        )
    return Sampling("pairs", None, size, drawn)


def _refuse_uneven(size: int, each: int, classes: int) -> None:
    """Raise UsageError unless a batch is of some of the classes, with so many images of each."""
    fitting = [each * min(max(count, 2), classes) for count in (size // each, size // each + 1)]
    nearest = " or ".join(f"--batch-size {near}" for near in dict.fromkeys(fitting))
    if size % each:
        raise UsageError(
            f"--batch-size {size} is no multiple of {each} images a class\n  fix: {nearest}"
        )
    if size // each > classes:
        enough = (k for k in range(-(-size // classes), size // 2 + 1) if size % k == 0)
        more = "".join(f", or --images-per-class {k}" for k in islice(enough, 1))
        raise UsageError(
            f"--batch-size {size} takes {size // each} classes with {each} images of each, and "
            f"there are {classes}\n"
            f"  fix: {nearest}{more}"
        )
    if size // each < 2:
        raise UsageError(
            f"--batch-size {size} is one class with {each} images: nothing to compare it with\n"
            f"  fix: {nearest}"
        )
