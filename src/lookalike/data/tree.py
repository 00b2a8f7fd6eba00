"""What the paths in a tree of images say: which are images, and which split and class each is of.

The rules are the same for folders and archives:

- Folders that alone hold everything are looked through: `photos.zip` may hold `photos/...`.
- If the folders on top are `train` and one or more of `test`, `val`, `valid`, `validation`, `dev`,
  `eval` and `unlabeled`, in any case, also spelt `training`, `testing`, `evaluation` or
  `unlabelled`, and no others, and no image lies beside them, they are splits.
- If every image lies in a folder below the top (or below its split), and there are at least two
  such folders, the first folder on its path is its class; a few images beside the folders are of
  unknown class. The classes of all splits are numbered together.
- Folders that are called like splits and are none, and those of which most are called like days,
  months, years, cameras or their cards, are no classes. What is not taken for a class is remarked.
- Otherwise nothing is known of the classes.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.data.image_set import (
    SPLITS,
    ImageSet,
    Reader,
    Unreadable,
    choose_split,
    number_classes,
    split_name,
)
from lookalike.errors import DataError

_READ = ".jpg .jpeg .png .webp .gif .bmp .tif .tiff .avif .jp2 .ppm .pgm .tga"

# The last three cannot be read, and are counted as unreadable: who has a thousand of them beside
# a few other images wants to know before training, not after.
_SUFFIXES = frozenset(
    f"{_READ} .jpe .jfif .mpo .apng .dib .j2k .jpx .pbm .pnm .heic .heif .jxl".split()
)

_SYSTEM_FILES = frozenset(["thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin"])

_HIDDEN = "hidden, or of the operating system"


def why_ignored(path: str) -> str | None:
    """Return why a file or folder of a tree is left alone, or None if it may hold an image.

    Args:
        path: the names from the top of the tree to it, with slashes between them; one more slash
            at the end says that it is a folder.
    """
    if any(part.startswith(".") or part.lower() in _SYSTEM_FILES for part in path.split("/")):
        return _HIDDEN
    if path.endswith("/"):
        return None
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _SUFFIXES:
        return None
    return f"not an image by its name ({suffix or 'no suffix'})"


def as_unicode(path: str) -> str:
    r"""Return a path as text that can be written: bytes that are no UTF-8 become `\xNN`."""
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")


def sorted_ids(paths: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the paths in Unicode, sorted, and where each was among the given ones."""
    order = sorted((as_unicode(path), place) for place, path in enumerate(paths))
    return tuple(path for path, _ in order), tuple(place for _, place in order)


@dataclass(frozen=True)
class Tree:
    """The images of a folder or an archive.

    Args:
        where: its path, for messages.
        name: what to call the set.
        ids: N paths from the top, sorted.
        keys: N, what the reader calls each image.
        reader: gives the bytes.
        ignored: what else lies there.
        folders: how many folders were looked into.
    """

    where: str
    name: str
    ids: tuple[str, ...]
    keys: Sequence[int]
    reader: Reader
    ignored: tuple[Unreadable, ...]
    folders: int

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits, `train` first; none if there are no splits."""
        return tuple(split for split in self._parts() if split)

    def open(self, split: str | None) -> ImageSet:
        """Return one split, `train` by default, or everything where there are no splits.

        Raises:
            UsageError: there is no such split.
            DataError: there are no images.
        """
        if not self.ids:
            raise DataError(self._no_images())
        parts = self._parts()
        asked, split = split, choose_split(split, self.splits(), where=self.where)
        classes, remarks = self._classes(parts)
        class_names, labels = number_classes(classes)
        chosen = self._below(parts[split or ""])
        others = tuple(top for name, top in parts.items() if name and name != split)
        return ImageSet(
            name=self.name,
            ids=tuple(self.ids[position] for position in chosen),
            labels=labels[chosen],
            class_names=class_names,
            reader=self.reader,
            keys=np.asarray(self.keys, dtype=np.int64)[chosen],
            split=split,
            ignored=tuple(one for one in self.ignored if not one.id.startswith(others)),
            remarks=remarks,
            left_out=tuple(
                (name, len(self._below(top)))
                for name, top in parts.items()
                if asked is None and name != split and name
            ),
        )

    def _parts(self) -> dict[str, str]:
        """Return the folder, with its slash, of each split, or of everything under the name ""."""
        if not self.ids:
            return {"": ""}
        # In sorted paths, where the first and the last lie, all lie.
        common = posixpath.commonpath(map(posixpath.dirname, (self.ids[0], self.ids[-1])))
        top = f"{common}/" if common else ""
        folders = {_first_folder(path, top) for path in self.ids}
        by_name = {split_name(folder): f"{top}{folder}/" for folder in folders}
        splits = {name: by_name[name] for name in SPLITS if name in by_name}
        if "train" in splits and len(folders) == len(splits) > 1:
            return splits
        return {"": top}

    def _classes(self, parts: dict[str, str]) -> tuple[list[str], tuple[str, ...]]:
        """Return each image's class, "" where nothing is known, and what to remark of that."""
        classes, remarks = [""] * len(self.ids), []
        for split, top in parts.items():
            positions = self._below(top)
            folders = [_first_folder(self.ids[position], top) for position in positions]
            where = f" of {split}" if split else ""
            if why := _no_classes(sorted(set(folders) - {""})):
                remarks.append(f"the folders{where} are not taken for classes: {why}")
                continue
            loose = folders.count("")
            if 0 < loose < len(folders):
                lie = (
                    f"{loose:,} image{'s lie' if loose > 1 else ' lies'} beside the folders{where}"
                )
                if loose > _FEW * len(folders):
                    remarks.append(f"{lie}, so these are not taken for classes")
                    continue
                remarks.append(f"{lie} and so without a class")
            for position, folder in zip(positions, folders, strict=True):
                classes[position] = unicodedata.normalize("NFC", folder)
        if len(set(classes) - {""}) > 1:
            return classes, tuple(remarks)
        return [""] * len(self.ids), tuple(remarks)

    def _below(self, top: str) -> list[int]:
        return [position for position, path in enumerate(self.ids) if path.startswith(top)]

    def _no_images(self) -> str:
        found = Counter(
            os.path.splitext(one.id)[1].lower() or "without suffix"
            for one in self.ignored
            if one.reason != _HIDDEN
        )
        counts = ", ".join(f"{count:,} {suffix}" for suffix, count in found.most_common(3))
        places = f"{self.folders:,} folder{'s' * (self.folders != 1)}"
        return (
            f"no images in {self.where} (looked for {_READ} in {places}; found {counts or 'none'})"
            "\nfix: give the folder that holds the images, or a CSV table with a column `path`, "
            "which may name files of any suffix"
        )


def _first_folder(path: str, top: str) -> str:
    """Return the first folder on a path below its top, or "" if there is none."""
    folder, slash, _ = path[len(top) :].partition("/")
    return folder if slash else ""


_FEW = 0.1  # of the images: no more may lie beside the folders that tell the others' classes

_ALBUM = re.compile(
    r"""
    (19|20)\d\d ([-_. ]? (0[1-9]|1[0-2]) ([-_. ]? (0[1-9]|[12]\d|3[01]))? )? (?!\d) .*  # 2021-07-14
    | (0[1-9]|[12]\d|3[01]) [-_.] (0[1-9]|1[0-2]) [-_.] (19|20)\d\d (?!\d) .*           # 14.07.2021
    | (january|february|march|april|may|june|july|august|september|october|november|december)
      ([-_ ]* (19|20)?\d\d)?
    | (jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec) ([-_ ]* (19|20)?\d\d)?
    | dcim | camera([ _]roll)? | screenshots?
    | \d{3} (?=.*[a-z_]) [a-z0-9_]{5}                                # 100CANON, as DCF names them
    """,
    re.VERBOSE | re.IGNORECASE,
)


def _no_classes(folders: Sequence[str]) -> str:
    """Return why folders are no classes, "" if they may be."""
    splits = [folder for folder in folders if split_name(folder)]
    if len(splits) > 1:
        return f"{' and '.join(splits[:3])} are called like splits"
    albums = [folder for folder in folders if _ALBUM.fullmatch(folder)]
    if len(albums) > 1 and 2 * len(albums) >= len(folders):
        return f"{albums[0]} and {albums[1]} are called like dates or cameras"
    return ""
