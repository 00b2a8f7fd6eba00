"""Sources that are one file a split: arrays or tables, whose classes are numbered together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lookalike.data.image_set import ImageSet, Reader, choose_split, number_classes
from lookalike.errors import DataError


class Part(NamedTuple):
    """What one file holds.

    ids: names of its N images.
    classes: N values that tell each image's class, as `number_classes` takes them.
    reader: reads them by their numbers, from 0.
    remarks: what somebody should know of how they were read.
    """

    ids: tuple[str, ...]
    classes: list[object]
    reader: Reader
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplitFiles:
    """A source of one file a split, or of one file alone.

    Args:
        where: its path, for messages.
        name: what to call the set.
        files: the file of each split; a single file has the name "".
        read: reads a file, given its split.
    """

    where: str
    name: str
    files: Mapping[str, Path]
    read: Callable[[Path, str], Part]

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits, `train` first; none if there are no splits."""
        return tuple(split for split in self.files if split)

    def open(self, split: str | None) -> ImageSet:
        """Return one split, the first by default.

        Raises:
            UsageError: there is no such split.
            DataError: a file is not as it should be, or holds no images.
        """
        asked, split = split, choose_split(split, self.splits(), where=self.where)
        parts = {name: self.read(path, name) for name, path in self.files.items()}
        try:
            class_names, labels = number_classes(
                value for part in parts.values() for value in part.classes
            )
        except ValueError as problem:
            raise DataError(f"{self.where}: {problem}") from problem
        ends = np.cumsum([len(part.ids) for part in parts.values()])
        by_split = dict(zip(parts, np.split(labels, ends[:-1]), strict=True))
        chosen = parts[split or ""]
        if not chosen.ids:
            raise DataError(f"no images in {self.files[split or '']}")
        return ImageSet(
            name=self.name,
            ids=chosen.ids,
            labels=by_split[split or ""],
            class_names=class_names,
            reader=chosen.reader,
            keys=np.arange(len(chosen.ids)),
            split=split,
            remarks=chosen.remarks,
            left_out=tuple(
                (name, len(part.ids))
                for name, part in parts.items()
                if asked is None and name not in {split, ""}
            ),
        )
