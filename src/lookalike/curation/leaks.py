"""Images that two sets share, as a test set and the set that was trained on must not."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lookalike.curation.album import Album
from lookalike.curation.looks import Looks
from lookalike.curation.matches import Matches, check_kinds, find_matches, read_album
from lookalike.data.quarantine import Progress
from lookalike.durable import write_atomically
from lookalike.names import to_cells

LISTED = 10
SAME_FILE = "same file"


@dataclass(frozen=True, kw_only=True)
class Leak:
    """An image of the second set that is in the first as well.

    Attributes:
        position: in the second set.
        original: in the first, the one it is most alike to.
        score: how well their details agree, in [-1, 1]; 1 for an exact copy.
        kind: what it is of that one: "same file", "mirrored copy", and so on.
    """

    position: int
    original: int
    score: float
    kind: str

    @property
    def exact(self) -> bool:
        """Whether the files are the same, byte for byte."""
        return self.kind == SAME_FILE


@dataclass(frozen=True, eq=False)
class Leaks:
    """What two sets share.

    Attributes:
        first: the images that were trained on.
        second: those to test with.
        leaks: images of the second that are in the first, in the order of the second.
        matches: the pairs (first, second) that were compared.
        unreadable: images left out because they could not be read.
        seed: of every draw.
        looks: how those of the first look.
        others: how those of the second look.
    """

    first: Album
    second: Album
    leaks: tuple[Leak, ...]
    matches: Matches
    unreadable: int
    seed: int
    looks: Looks
    others: Looks

    @property
    def share(self) -> float:
        """What part of the second set is in the first, in [0, 1]."""
        return len(self.leaks) / len(self.second)

    def at(self, precision: float) -> Leaks:
        """Return what is found at another precision; no image is looked for again.

        Raises:
            ValueError: precision is not in (0, 1).
        """
        matches = self.matches.at(precision)
        return replace(self, matches=matches, leaks=tuple(_leaks(matches, self.looks, self.others)))

    def to_json(self) -> dict[str, Any]:
        """Return one object for programs."""
        return {
            "train": self.first.images.name,
            "test": self.second.images.name,
            "train_images": len(self.first),
            "test_images": len(self.second),
            "unreadable": self.unreadable,
            "threshold": self.matches.threshold.to_json(),
            "seed": self.seed,
            "share": self.share,
            "leaks": [
                {
                    "test": self.second.images.ids[leak.position],
                    "train": self.first.images.ids[leak.original],
                    "score": round(leak.score, 6),
                    "exact": leak.exact,
                    "how": leak.kind,
                }
                for leak in self.leaks
            ],
        }

    def lines(self) -> list[str]:
        """Return a table for people, and how it came about."""
        lines = []
        for leak in self.leaks[:LISTED]:
            here, there = (
                self.second.images.ids[leak.position],
                self.first.images.ids[leak.original],
            )
            lines.append(f"{leak.score:.3f}   {here}  =  {there}  {leak.kind}")
        if len(self.leaks) > LISTED:
            lines.append(f"and {len(self.leaks) - LISTED:,} more")
        exact = sum(leak.exact for leak in self.leaks)
        lost = f"; {self.unreadable:,} could not be read" if self.unreadable else ""
        return [
            *lines,
            *[""] * bool(lines),
            f"{len(self.leaks):,} of {len(self.second):,} test images ({self.share:.1%}) are in "
            f"train, {exact:,} of them the same byte for byte{lost}",
            *self.matches.threshold.lines(),
        ]


def find_leaks(
    train: Album,
    test: Album,
    *,
    precision: float = 0.99,
    neighbours: int = 5,
    without: tuple[
        Literal["recoloured", "stamped", "framed", "tilted", "cropped", "mirrored", "turned"], ...
    ] = (),
    seed: int = 0,
    max_unreadable: float = 0.01,
    progress: Progress | None = None,
) -> Leaks:
    """Find the images of one set that are in another, as exact or as altered copies.

    Args:
        train: images that were trained on.
        test: images to test with, their vectors by the same encoder; or either without vectors.
        precision: share of the found pairs that shall be right, in (0, 1).
        neighbours: candidates of an image by its tiny picture, and by the encoder.
        without: kinds of copies not to look for.
        seed: of every draw.
        max_unreadable: share of images that may be unreadable; they are left out and counted.
        progress: told after each image that is read.

    Raises:
        DataError: too many images cannot be read.
        ValueError: an option is out of its range.
    """
    check_kinds(without)
    first, looks = read_album(train, max_unreadable=max_unreadable, progress=progress)
    second, others = read_album(test, max_unreadable=max_unreadable, progress=progress)
    # the test images ask, so each of them has candidates of its own
    found = find_matches(
        (second, others),
        (first, looks),
        precision=precision,
        neighbours=neighbours,
        seed=seed,
        without=without,
    )
    matches = replace(found, pairs=found.pairs[:, ::-1])
    before = train.unreadable + test.unreadable
    return Leaks(
        first,
        second,
        tuple(_leaks(matches, looks, others)),
        matches,
        before + len(train) - len(first) + len(test) - len(second),
        seed,
        looks,
        others,
    )


def _leaks(matches: Matches, looks: Looks, others: Looks) -> list[Leak]:
    """Return the leaks: exact copies by their bytes, else the best of the pairs that count."""
    files: defaultdict[bytes, list[int]] = defaultdict(list)
    for position, digest in enumerate(looks.digests):
        files[digest].append(position)
    best: dict[int, Leak] = {}
    for place in matches.found[::-1]:  # the most alike last, so that it stays
        original, position = matches.pairs[place].tolist()
        score, kind = float(matches.scores[place]), str(matches.kinds[place])
        best[position] = Leak(position=position, original=original, score=score, kind=kind)
    for position, digest in enumerate(others.digests):
        if digest in files:
            best[position] = Leak(
                position=position, original=files[digest][0], score=1.0, kind=SAME_FILE
            )
    return [best[position] for position in sorted(best)]


def write_csv(found: Leaks, path: Path) -> None:
    """Write test, train, score and how (same file, mirrored copy, ...), a row a leak."""
    content = io.StringIO(newline="")
    rows = csv.writer(content)
    rows.writerow(("test", "train", "score", "how"))
    for leak in found.leaks:
        names = found.second.images.ids[leak.position], found.first.images.ids[leak.original]
        rows.writerow((*to_cells(names), f"{leak.score:.6f}", leak.kind))
    write_atomically(path, content.getvalue().encode("utf-8", errors="backslashreplace"))
