"""Groups of images that show the same photo, and which of each to keep."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lookalike import _check
from lookalike.curation.album import (
    Album,
    is_collection,
    open_album,
    plain_album,
    without_links,
)
from lookalike.curation.groups import complete_groups
from lookalike.curation.looks import Looks, sharpness
from lookalike.curation.matches import (
    Matches,
    Pairs,
    Scores,
    check_kinds,
    compare,
    find_matches,
    read_album,
)
from lookalike.data.quarantine import Progress
from lookalike.data.resident import load_squares
from lookalike.durable import write_atomically
from lookalike.names import to_cells
from lookalike.neighbors.notebook import MOST_ROWS, MOST_TILES, SIDE, Strip, Tile, show_strips

LISTED = 10  # groups in the table for people; all are in the file
BORDERLINE = 40  # pairs to look at
SHARP = 0.7  # of the sharpest: no less, and an image counts as sharp as that one
SAME_FILE = "same file"
CROPPED = "cropped copy"

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Member:
    """An image of a group.

    Attributes:
        position: in `Duplicates.album`.
        keep: whether it is the one to keep.
        score: how well it agrees with that one, in [-1, 1]; 1 for itself and for exact copies.
        reason: why it is kept, or what it is a copy of.
    """

    position: int
    keep: bool
    score: float
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class Duplicates:
    """The images of a set that are there more than once; a notebook shows their pictures.

    Attributes:
        album: the images that could be read.
        looks: their sizes and digests.
        groups: the one to keep first, then from the most to the least alike to it.
        matches: the pairs that were compared, of images that are no exact copies of an earlier one.
        copies: exact copies, byte for byte, beyond the first of each.
        links: further names of files that are in the album already; they are no copies.
        unreadable: images left out because they could not be read.
        seed: of every draw.
        without: kinds of copies that were not looked for.
    """

    album: Album
    looks: Looks
    groups: tuple[tuple[Member, ...], ...]
    matches: Matches
    copies: int
    unreadable: int
    seed: int
    without: tuple[str, ...] = ()
    links: int = 0

    def __repr__(self) -> str:
        images = f"{len(self.album):,} images"
        return f"Duplicates({len(self.groups):,} groups, {len(self.spare):,} of {images} spare)"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        """Return pictures of the first groups, for a notebook."""
        shown = [group[:MOST_TILES] for group in self.groups[:MOST_ROWS]]
        positions = np.array([each.position for group in shown for each in group], dtype=np.int64)
        squares, readable = load_squares(self.album.images.select(positions), SIDE)
        pictures = dict(
            zip(positions[readable].tolist(), squares.transpose(0, 2, 3, 1), strict=True)
        )
        strips = []
        for group, seen in zip(self.groups, shown, strict=False):
            tiles = [
                Tile(
                    self.id_of(each.position),
                    "keep" if each.keep else f"{each.score:.3f}",
                    pictures.get(each.position),
                    framed=each.keep,
                )
                for each in seen
            ]
            heading = f"{len(group):,} images; kept: {group[0].reason}"
            strips.append(Strip(heading, tiles, len(group) - len(seen)))
        more = len(self.groups) - len(shown)
        rest = f"and {more:,} more groups" if more else ""
        return show_strips(strips, lead=self.counts, rest=rest)

    def at(self, precision: float) -> Duplicates:
        """Return what is found at another precision; no image is looked for again.

        Raises:
            ValueError: precision is not in (0, 1).
        """
        matches = self.matches.at(precision)
        told = {"unreadable": self.unreadable, "seed": self.seed}
        return _grouped(self.album, self.looks, matches, self.without, **told)

    @property
    def spare(self) -> list[int]:
        """Positions of the images that need not be kept, in the order of the groups."""
        return [member.position for group in self.groups for member in group if not member.keep]

    @property
    def counts(self) -> str:
        """How many groups and spare images there are, in a sentence."""
        lost = f"; {self.unreadable:,} could not be read" if self.unreadable else ""
        if self.links:
            lost += f"; {self.links:,} more names of the same files are links, and no copies"
        spare = len(self.spare)
        return (
            f"{len(self.groups):,} groups of {len(self.groups) + spare:,} images; {spare:,} of "
            f"{len(self.album):,} images need not be kept, {self.copies:,} of them the same byte "
            f"for byte{lost}"
        )

    def id_of(self, position: int) -> str:
        """Return an image's name."""
        return self.album.images.ids[position]

    def describe(self, position: int) -> str:
        """Return an image's size, as people say it."""
        height, width = self.looks.sizes[position].tolist()
        return f"{width} x {height}, {_kilobytes(int(self.looks.bytes[position]))}"

    def to_json(self) -> dict[str, Any]:
        """Return one object for programs."""
        return {
            "source": self.album.images.name,
            "folder": None if self.album.folder is None else str(self.album.folder),
            "images": len(self.album),
            "unreadable": self.unreadable,
            "copies": self.copies,
            "links": self.links,
            "threshold": self.matches.threshold.to_json(),
            "seed": self.seed,
            "fingerprint": self.album.fingerprint,
            "groups": [
                [
                    {
                        "id": self.id_of(member.position),
                        "keep": member.keep,
                        "score": round(member.score, 6),
                        "reason": member.reason,
                    }
                    for member in group
                ]
                for group in self.groups
            ],
        }

    def lines(self) -> list[str]:
        """Return a table for people, and how it came about."""
        lines = []
        if self.groups:
            lines.append("group".ljust(8) + "keep".ljust(8) + "score   image")
        for number, group in enumerate(self.groups[:LISTED], 1):
            for member in group:
                head = f"{number:<8}" if member.keep else " " * 8
                keep = "keep".ljust(8) if member.keep else " " * 8
                score = " " * 8 if member.keep else f"{member.score:<8.3f}"
                about = f"{self.id_of(member.position)}  {self.describe(member.position)}"
                lines.append(f"{head}{keep}{score}{about}  {member.reason}")
        if more := len(self.groups) - LISTED:
            lines.extend([f"and {more:,} more groups"] * (more > 0))
        return [*lines, *[""] * bool(lines), self.counts, *self.matches.threshold.lines()]


def find_duplicates(
    images: Album | str | Path,
    *,
    precision: float = 0.99,
    neighbours: int = 5,
    without: tuple[
        Literal["recoloured", "stamped", "framed", "tilted", "cropped", "mirrored", "turned"], ...
    ] = (),
    seed: int = 0,
    max_unreadable: float = 0.01,
    progress: Progress | None = None,
) -> Duplicates:
    """Find the images that are there more than once, as exact or as altered copies.

    Exact copies are told by their bytes. For all others, near neighbours are compared detail by
    detail, laid as they are, mirrored, turned, without their frames, and as parts of each other.
    Every two images of a group agree to the threshold, which the images themselves tell; crops
    agree with what they are a part of.

    Args:
        images: an album, a collection that `lookalike embed` wrote, or a source of images, for
            which no encoder is needed.
        precision: share of the found pairs that shall be right, in (0, 1).
        neighbours: candidates of an image by its tiny picture, and by the encoder.
        without: kinds of copies not to look for. A photo is a crop of its framed copy: to leave out
            framed ones, leave out cropped ones too.
        seed: of every draw.
        max_unreadable: share of images that may be unreadable; they are left out and counted.
        progress: told after each image that is read.

    Raises:
        UsageError: the collection or source cannot be opened.
        DataError: too many images cannot be read.
        ValueError: an option is out of its range.
    """
    _check.at_least(1, neighbours=neighbours)
    check_kinds(without)
    if not isinstance(images, Album):
        images = open_album(images) if is_collection(images) else plain_album(images)
    files = without_links(images)
    links = len(images) - len(files)
    album, looks = read_album(files, max_unreadable=max_unreadable, progress=progress)
    unreadable = images.unreadable + len(files) - len(album)
    alike = _same_files(looks)
    firsts = np.array([positions[0] for positions in alike], dtype=np.int64)
    matches = find_matches(
        (album.select(firsts), looks.select(firsts)),
        precision=precision,
        neighbours=neighbours,
        seed=seed,
        without=without,
    )
    matches = replace(matches, pairs=firsts[matches.pairs].reshape(-1, 2))
    return _grouped(
        album, looks, matches, tuple(without), unreadable=unreadable, links=links, seed=seed
    )


def _same_files(looks: Looks) -> list[list[int]]:
    """Return the positions of each file; the first of them stands for all."""
    same: defaultdict[bytes, list[int]] = defaultdict(list)
    for position, digest in enumerate(looks.digests):
        same[digest].append(position)
    return list(same.values())


def _grouped(
    album: Album, looks: Looks, matches: Matches, without: tuple[str, ...], **told: int
) -> Duplicates:
    """Return the groups that pairs make, at their threshold; what is told besides is kept."""
    alike = {positions[0]: positions for positions in _same_files(looks)}
    known = _Known(looks, matches, without)
    level, crops = matches.threshold.value, matches.kinds == CROPPED
    groups = complete_groups(
        matches.pairs[~crops], matches.scores[~crops], threshold=level, score=known.scores
    )
    parts = np.flatnonzero(crops & (matches.scores >= level))
    groups = _with_crops(groups, matches.pairs[parts], matches.scores[parts], looks.sizes)
    grouped = {place for group in groups for place in group}
    copied = [(place,) for place, each in alike.items() if len(each) > 1 and place not in grouped]
    members = [
        _members(album, looks, [alike[place] for place in group], known)
        for group in sorted([*groups, *copied])
    ]
    spare = len(album) - len(alike)
    return Duplicates(album, looks, tuple(members), matches, spare, **told, without=without)


class _Known:
    """What is known of pairs of images: how well they agree, and as what; the rest is found out."""

    def __init__(self, looks: Looks, matches: Matches, without: tuple[str, ...]) -> None:
        self._looks, self._without = looks, without
        told = zip(
            matches.pairs.tolist(), matches.scores.tolist(), matches.kinds.tolist(), strict=True
        )
        self._pairs = {(i, j): (score, kind) for (i, j), score, kind in told}

    def __call__(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[float, str]]:
        """Return the score and the kind of each pair, the smaller position first in it."""
        new = sorted({pair for pair in pairs if pair not in self._pairs})
        if new:
            found = compare(self._looks, np.array(new, dtype=np.int64), without=self._without)
            told = zip(found[0].tolist(), found[1].tolist(), strict=True)
            self._pairs |= dict(zip(new, told, strict=True))
        return [self._pairs[pair] for pair in pairs]

    def scores(self, pairs: Pairs) -> Scores:
        """Return the score of each of (P, 2) pairs."""
        told = self([(i, j) for i, j in pairs.tolist()])
        return np.array([score for score, _ in told], dtype=np.float32)


def _with_crops(
    groups: list[tuple[int, ...]], pairs: Pairs, scores: Scores, sizes: Numbers
) -> list[tuple[int, ...]]:
    """Return groups with their crops: two parts of one photo may share nothing but the photo.

    The best pair is taken first. Of a pair the larger image holds the other; what has been put to
    another as its crop holds none itself, so that groups do not chain.
    """
    of = {place: group for group in groups for place in group}
    whole: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    taken: set[tuple[int, ...]] = set()
    for at in np.argsort(-scores, kind="stable").tolist():
        pair: list[int] = pairs[at].tolist()
        part, holder = sorted(pair, key=lambda place: (int(sizes[place].prod()), -place))
        inner, outer = of.get(part, (part,)), of.get(holder, (holder,))
        if inner != outer and not taken & {inner, outer} and inner not in whole:
            whole.setdefault(outer, []).append(inner)
            taken.add(inner)
    alone = [group for group in groups if group not in whole and group not in taken]
    joined = [
        tuple(sorted([*outer, *(place for inner in parts for place in inner)]))
        for outer, parts in whole.items()
    ]
    return sorted([*alone, *joined])


def _members(
    album: Album, looks: Looks, files: Sequence[Sequence[int]], known: _Known
) -> tuple[Member, ...]:
    """Return a group's images, the best first, then from the most to the least alike to it.

    The best is the largest; of the largest, one that is about as sharp as the sharpest of them; of
    these, the largest file, since strong compression draws sharp edges of its own; then the first
    by name.
    """
    shown = [positions[0] for positions in files]  # exact copies have their names in order
    pixels = looks.sizes[shown].prod(axis=1)
    sharp = sharpness(album.images, shown, max_pixels=album.max_pixels)
    best, why = _best(pixels, np.array(sharp), looks.bytes[shown])
    others = [place for place in range(len(shown)) if place != best]
    pairs = [sorted((shown[best], shown[other])) for other in others]
    agreed = dict(zip(others, known([(i, j) for i, j in pairs]), strict=True))
    kept = Member(position=shown[best], keep=True, score=1.0, reason=why)
    exact = [
        Member(position=position, keep=False, score=1.0, reason=SAME_FILE)
        for position in files[best][1:]
    ]
    near = [
        Member(
            position=position,
            keep=False,
            score=agreed[other][0],
            # a part of the photo that another one is a part of, too, may agree with that in nothing
            reason=(agreed[other][1] or CROPPED)
            if position == shown[other]
            else f"{SAME_FILE} as the one before",
        )
        for other in sorted(others, key=lambda other: (-agreed[other][0], other))
        for position in files[other]
    ]
    return (kept, *exact, *near)


def _best(pixels: Numbers, sharp: Numbers, size: Numbers) -> tuple[int, str]:
    """Return the place of the image to keep, and why that one."""
    left = np.arange(len(pixels))
    steps = (
        (pixels, 1.0, "the largest"),
        (sharp, SHARP, "the sharpest of the largest"),
        (size, 1.0, "the least compressed of the largest"),
    )
    for values, share, why in steps:
        better = left[values[left] >= share * values[left].max()]
        if len(better) == 1 < len(left):
            return int(better[0]), why
        left = better
    return int(left[0]), "the first by name"


def write_csv(found: Duplicates, path: Path) -> None:
    """Write group, id, keep (yes or no), score, width, height, bytes and reason, a row an image.

    `lookalike apply` reads the file, so what is kept can be changed in it.
    """
    content = io.StringIO(newline="")
    rows = csv.writer(content)
    rows.writerow(("group", "id", "keep", "score", "width", "height", "bytes", "reason"))
    for number, group in enumerate(found.groups, 1):
        for member in group:
            height, width = found.looks.sizes[member.position].tolist()
            rows.writerow(
                to_cells(
                    (
                        number,
                        found.id_of(member.position),
                        "yes" if member.keep else "no",
                        f"{member.score:.6f}",
                        width,
                        height,
                        int(found.looks.bytes[member.position]),
                        member.reason,
                    )
                )
            )
    write_atomically(path, content.getvalue().encode("utf-8", errors="backslashreplace"))


def _kilobytes(count: int) -> str:
    return f"{count / 1000:,.0f} kB" if count >= 1000 else f"{count:,} bytes"
