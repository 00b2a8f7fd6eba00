"""What is told of images: labels, some of them hidden, or pairs that say which are alike."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.data.pairs import Pairs, read_pairs
from lookalike.durable import write_atomically
from lookalike.errors import DataError
from lookalike.methods.base import Method
from lookalike.names import to_cells
from lookalike.runs.facts import Facts
from lookalike.runs.readable import Readable
from lookalike.solved.base import Solved


@dataclass(frozen=True, kw_only=True, eq=False)
class Told:
    """Readable images, with what training may know of them.

    Attributes:
        found: the images, those that training has no use for left out.
        pairs: of the images, that say which are alike; None where no file lists any.
        pairs_record: what run.json says of the file of pairs.
        unlabelled: images left out, for they have no label.
    """

    found: Readable
    pairs: Pairs | None = None
    pairs_record: Mapping[str, str] = field(default_factory=dict)
    unlabelled: int = 0

    @property
    def facts(self) -> Facts:
        """What the default settings depend on."""
        images = self.found.images
        known = images.labels[images.labels >= 0]
        counts = np.unique(known, return_counts=True)[1]
        largest = int(counts.max(initial=0))
        return Facts(
            len(images),
            self.found.side,
            resident=self.found.resident is not None,
            classes=len(counts),
            largest_class=largest,
            class_names=len(images.class_names),
            pairs=self.pairs,
        )

    def record(self) -> dict[str, Any]:
        """Return what run.json says of the images; another set of images differs in it."""
        images, digest = self.found.images, hashlib.sha256()
        for name, label in zip(images.ids, images.labels.tolist(), strict=True):
            digest.update(f"{name}\0{label}\0".encode())
        digest.update(self.found.sizes.tobytes())
        return {
            "source": str(self.found.spec),
            "split": self.found.source.split,
            "images": len(images),
            "unreadable": len(self.found.quarantine),
            "unlabelled": self.unlabelled,
            "classes": list(images.class_names),
            "images_sha256": digest.hexdigest(),
            **self.pairs_record,
        }

    def in_words(self, sampling: str, method: type[Method] | type[Solved]) -> str:
        """Return what training makes of the labels or pairs, in a few words."""
        if self.pairs is not None:
            named = len(np.union1d(self.pairs.first, self.pairs.second))
            lost = self.pairs.skipped
            apart = f", {lost:,} pairs of unreadable images left out" if lost else ""
            return f", {named:,} of them in {len(self.pairs):,} pairs to learn from{apart}"
        classes = f"{self.facts.classes:,} classes"
        apart = f", {self.unlabelled:,} without a label left out" if self.unlabelled else ""
        if method.needs_labels:
            return f", of {classes}, which training learns from{apart}"
        if sampling != "shuffled":
            return f", of {classes}, which only the batches are drawn by{apart}"
        known = int((self.found.images.labels >= 0).sum())
        told = f", {known:,} with labels of {classes}, which training never sees"
        return told if known else ", no labels"


def pair_up(found: Readable, path: Path) -> Told:
    """Learn from a file which images are alike; pairs of an unreadable one are left out.

    Raises:
        DataError: it cannot be read, names images that are not there, or all its pairs are
            alike, or none.
    """
    listed = read_pairs(path, found.source, otherwise="take these pairs out of the file")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    places = np.full(len(found.source), -1)
    places[found.positions] = np.arange(len(found.positions))
    moved = replace(listed, first=places[listed.first], second=places[listed.second])
    pairs = moved.select((moved.first >= 0) & (moved.second >= 0))
    alike, count = int(pairs.same.sum()), len(pairs)
    if alike in (0, count):
        said = f"{'all' if alike else 'none'} of the {count:,} pairs in {path} are alike"
        wanted = "not, with same 0" if alike else "alike, with same 1"
        raise DataError(f"{said}\n  fix: list some that are {wanted}: it takes both kinds")
    record = {"pairs": str(path), "pairs_sha256": digest}
    return Told(found=found, pairs=pairs, pairs_record=record)


def keep_labelled(found: Readable) -> Told:
    """Leave out the images without a label.

    Raises:
        DataError: labels name fewer than two classes.
    """
    keep = np.flatnonzero(found.images.labels >= 0)
    classes = found.images.labels[keep]
    if not len(keep) or (classes == classes[0]).all():
        told = "one class only" if len(keep) else "no labels"
        raise DataError(
            f"{found.spec} has {told}, and this training compares classes\n"
            "  fix: one folder a class, or a table with a column of labels; or a method and a "
            "--sampling that need none"
        )
    unlabelled = len(found.images) - len(keep)
    return Told(found=found.keep(keep) if unlabelled else found, unlabelled=unlabelled)


def hide_labels(found: Readable, share: float, *, seed: int, listing: Path) -> Readable:
    """Forget all but some labels of each class, and write down which are left.

    Args:
        found: the images.
        share: of each class's labels that stay, in (0, 1]; one of each at least.
        seed: of the draw.
        listing: CSV file of the images that keep theirs.
    """
    kept = draw_labels(found.images.labels, share=share, seed=seed)
    labels = np.full(len(found.source), -1)
    labels[found.positions[kept]] = found.images.labels[kept]
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["id", "class"])
    for row in kept.tolist():
        name = found.images.class_names[found.images.labels[row]]
        table.writerow(to_cells([found.images.ids[row], name]))
    write_atomically(listing, text.getvalue().encode())
    return found.relabel(labels)


def draw_labels(labels: npt.NDArray[np.int64], *, share: float, seed: int) -> npt.NDArray[np.int64]:
    """Return the rows, rising, of a share of each class, one at least; -1 is no class.

    A smaller share of the same seed is a part of a larger one.
    """
    generator = np.random.default_rng(seed)
    rows = [np.zeros(0, dtype=np.int64)]
    for label in np.unique(labels[labels >= 0]):
        members = generator.permutation(np.flatnonzero(labels == label))
        rows.append(members[: max(1, round(share * len(members)))])
    return np.sort(np.concatenate(rows))
