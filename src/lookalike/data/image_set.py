"""A set of images with names and labels, wherever its bytes are kept."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lookalike.data.decode import MAX_PIXELS, Header, Raw, UnreadableImage, measure
from lookalike.errors import UsageError
from lookalike.names import shown

SPLITS = ("train", "test", "val", "valid", "validation", "dev", "eval", "unlabeled")
"""How the splits of a source may be called. The first is what is meant if nothing is said."""

_SPELLINGS = {
    "training": "train",
    "testing": "test",
    "evaluation": "eval",
    "unlabelled": "unlabeled",
}


_HEADER_BYTES = 2**17  # most formats tell all of this in the first kilobytes; EXIF may take 64


class Unreadable(NamedTuple):
    """A file that shows no image, and why.

    id: its path inside its source.
    reason: a few words on one line.
    """

    id: str
    reason: str

    def __str__(self) -> str:
        """Return one line that is safe on a terminal, whatever the file is called."""
        return f"{shown(self.id)}: {shown(self.reason)}"


UNLISTED = "cannot be listed"
"""How the reason of a folder begins that nobody could look into."""


class Reader(Protocol):
    """Where the bytes are: a folder, an archive, an array. It can be pickled, and is small then."""

    def read(self, key: int, limit: int | None = None) -> Raw:
        """Return image `key` of all those the reader was made for.

        Of a file, no more than the first `limit` bytes.

        Raises:
            UnreadableImage: it is not there any more, or may not be read.
        """


@dataclass(frozen=True, eq=False)
class ImageSet:
    r"""Images in a fixed order that does not depend on the file system.

    Args:
        name: what to call the set: the name of its folder or file, or of a known set.
        ids: N names, one an image: its path inside the source, in Unicode; bytes of a path that
            are none are written as `\xNN`.
        labels: (N,) int64, positions in `class_names`; -1 where unknown.
        class_names: names of the classes, the same for all splits of a source.
        reader: gives the bytes or pixels.
        keys: (N,) int64, what the reader calls each image.
        split: which split of the source this is; None where there are none.
        ignored: what lies among the images and is none by its name or kind.
        remarks: what somebody should know of how the classes and images were told, a line each.
        left_out: the source's other splits, where none was asked for, and the images in each.
    """

    name: str
    ids: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    reader: Reader
    keys: npt.NDArray[np.int64]
    split: str | None = None
    ignored: tuple[Unreadable, ...] = ()
    remarks: tuple[str, ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()

    @property
    def unlisted(self) -> tuple[Unreadable, ...]:
        """Folders that could not be looked into: nobody knows how many images are in them."""
        return tuple(one for one in self.ignored if one.reason.startswith(UNLISTED))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.ids)

    def read(self, position: int, limit: int | None = None) -> Raw:
        """Return the bytes of a file, or (H, W) or (H, W, 3) uint8 pixels.

        Args:
            position: of the image.
            limit: of a file, read no more than this many bytes.

        Raises:
            UnreadableImage: the file is gone, or may not be read.
        """
        return self.reader.read(int(self.keys[position]), limit)

    def measure(self, position: int, *, max_pixels: int = MAX_PIXELS) -> Header:
        """Return the size and format of an image, reading no more of it than its header takes.

        Raises:
            UnreadableImage: the file is gone, or its header is damaged or tells of too many pixels.
        """
        beginning = self.read(position, _HEADER_BYTES)
        try:
            return measure(beginning, max_pixels=max_pixels)
        except UnreadableImage:
            if len(beginning) < _HEADER_BYTES:
                raise
        # Some formats, and a few cameras, put what matters further back.
        return measure(self.read(position), max_pixels=max_pixels)

    def select(self, positions: Sequence[int] | npt.NDArray[np.integer]) -> ImageSet:
        """Return the images at these positions, in this order."""
        chosen = np.asarray(positions, dtype=np.int64)
        return replace(
            self,
            ids=tuple(self.ids[position] for position in chosen),
            labels=self.labels[chosen],
            keys=self.keys[chosen],
        )


def split_name(name: str) -> str | None:
    """Return the split that a folder or file is, by its name in any case; None if it is none."""
    lower = name.lower()
    lower = _SPELLINGS.get(lower, lower)
    return lower if lower in SPLITS else None


def choose_split(split: str | None, splits: Sequence[str], *, where: str) -> str | None:
    """Return the split that is meant: the first if none is named, None if there are none.

    Raises:
        UsageError: the source has no such split; `where` names it in the message.
    """
    if split is None:
        return splits[0] if splits else None
    split = split if split in splits else split_name(split) or split
    if split not in splits:
        choice = f"choose {' or '.join(splits)}" if splits else "leave the split out"
        raise UsageError(f"{where} has no split {split!r}\nfix: {choice}")
    return split


def number_classes(
    values: Iterable[object],
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the names of the classes, in order, and each value's position among them, (N,).

    Integers are in numerical order, also where they are written as text; everything else is in the
    order of its characters. Names that differ in their Unicode form alone are one. None, empty
    text, what is no finite number, and negative numbers are unknown: -1.

    Raises:
        ValueError: a value is a list or another collection of values.
    """
    names = [_class_name(value) for value in values]
    known = {name for name in names if name}
    numeric = all(name.isdecimal() and name.isascii() for name in known)
    ordered = sorted(known, key=(lambda name: (int(name), name)) if numeric else None)
    positions = {name: position for position, name in enumerate(ordered)}
    labels = np.array([positions.get(name, -1) for name in names], dtype=np.int64)
    return tuple(ordered), labels


def _class_name(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        # A table's column of integers becomes one of floats where a value is missing.
        if not np.isfinite(value) or value < 0:
            return ""
        return str(int(value) if value == int(value) else value)
    if isinstance(value, (int, np.integer)):
        return "" if value < 0 else str(value)
    if isinstance(value, (list, tuple, set, dict, np.ndarray)):
        raise ValueError(f"a label must be one value, got {value!r:.60}")
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", str(value).strip())


_NONE = frozenset(["", "nan", "NaN", "NAN", "None", "null", "NULL", "<NA>"])
_NEGATIVE = re.compile(r"-\d+(\.\d*)?|[-+]?inf(inity)?", re.IGNORECASE | re.ASCII)


def label_of_text(text: str) -> str | None:
    """Return a label that a program wrote as text; None if that says that there is none.

    A folder may be called `nan`; in a table it is what a missing value became.
    """
    text = text.strip()
    return None if text in _NONE or _NEGATIVE.fullmatch(text) else text
