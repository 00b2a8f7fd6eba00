"""The table of duplicates, `duplicates.csv`, read again: to move by, and to decide on once more."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lookalike.errors import UsageError
from lookalike.names import from_cell, shown
from lookalike.neighbors.collection import ID, Collection

TABLE, TOLD = "duplicates.csv", "duplicates.json"
_SIDES = ("width", "height")


class Entry(NamedTuple):
    """An image of a group, as a row of the table has it.

    id: its name.
    keep: whether it stays.
    score: how well it agrees with the one that was suggested to keep, in [-1, 1].
    width: in pixels, upright.
    height: likewise.
    bytes: of its file.
    reason: why it stays, or what it is a copy of.
    """

    id: str
    keep: bool
    score: float
    width: int
    height: int
    bytes: int
    reason: str


@dataclass(frozen=True)
class Listed:
    """What `lookalike duplicates` wrote to a folder.

    Attributes:
        folder: that folder.
        digest: sha256 of the table.
        threshold: from what score on two images count.
        groups: the entries of each, by its name, in the order of the table.
    """

    folder: Path
    digest: str
    threshold: float
    groups: dict[str, tuple[Entry, ...]]

    def require_images_of(self, collection: Collection) -> None:
        """Refuse groups of images that a collection does not have, or has in another size.

        Raises:
            UsageError: there is such an image; the message names the first.
        """
        entries = {entry.id: entry for group in self.groups.values() for entry in group}
        named = [collection.ids[row] in entries for row in collection.present]
        rows = collection.present[np.array(named, dtype=bool)]
        sides = [name for name in _SIDES if name in collection.table.column_names]
        known = collection.table.select([ID, *sides]).take(rows).to_pylist()
        own = {told[ID]: told for told in known}
        for name, entry in entries.items():
            told = own.get(name)
            if told and all(told[side] in {None, getattr(entry, side)} for side in sides):
                continue
            what = "has in another size" if told else "does not have"
            raise UsageError(
                f"{self.folder} is about other images: {collection.path} {what} {shown(name)}\n"
                f"  fix: lookalike duplicates {collection.path} --out FOLDER"
            )


def read_rows(table: Path, *, numbers: Sequence[str] = ("bytes",)) -> list[dict[str, str]]:
    """Return the rows of a table of duplicates; `keep` is yes or no in each.

    Args:
        table: the file.
        numbers: columns that hold whole numbers.

    Raises:
        UsageError: it cannot be read, or a row is not what it should be.
    """
    try:
        text = table.read_bytes().decode("utf-8-sig")  # a carriage return may be part of a name
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(
            f"{table} cannot be read\n  fix: write it with lookalike duplicates"
        ) from problem
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    for number, row in enumerate(rows, 2):
        row["id"] = from_cell(row.get("id") or "")
        for column in ("group", "id", "keep", *numbers):
            if not row.get(column):
                raise UsageError(f"line {number} of {table} has no {column}")
        row["keep"] = row["keep"].strip().lower()
        if row["keep"] not in {"yes", "no"}:
            raise UsageError(f"line {number} of {table}: keep is yes or no, got {row['keep']!r}")
        for column in numbers:
            if not (row[column].isascii() and row[column].isdecimal() and len(row[column]) < 19):
                raise UsageError(
                    f"line {number} of {table}: {column} is a number, got {row[column]!r}"
                )
    return rows


def read_listed(folder: Path) -> Listed:
    """Return what `lookalike duplicates` wrote to a folder.

    Raises:
        UsageError: it wrote nothing there, or its table was changed into what cannot be.
    """
    table, told = folder / TABLE, folder / TOLD
    rows = read_rows(table, numbers=("bytes", *_SIDES))
    try:
        threshold = float(json.loads(told.read_bytes())["threshold"]["value"])
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise UsageError(
            f"{told} cannot be read\n  fix: write it with lookalike duplicates"
        ) from problem
    groups: dict[str, list[Entry]] = {}
    seen: set[str] = set()
    for number, row in enumerate(rows, 2):
        if row["id"] in seen:
            raise UsageError(f"line {number} of {table} names {shown(row['id'])} a second time")
        seen.add(row["id"])
        groups.setdefault(row["group"], []).append(_entry(row, f"line {number} of {table}"))
    for name, entries in groups.items():
        if not any(entry.keep for entry in entries):
            raise UsageError(
                f"{table} keeps no image of group {shown(name)}\n"
                "  fix: write yes in the column keep of one of them"
            )
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    return Listed(folder, digest, threshold, {name: tuple(each) for name, each in groups.items()})


def require_part_of(table: Path, own: Path) -> None:
    """Refuse a table that names an image, or puts one into a group, where another does not.

    Raises:
        UsageError: it does, or one of both cannot be read.
    """
    known = {(row["group"], row["id"]) for row in read_rows(own)}
    for row in read_rows(table):
        if (row["group"], row["id"]) not in known:
            raise UsageError(
                f"{table} is not made from {own}, where {shown(row['id'])} is in no "
                f"group {shown(row['group'])}\n"
                "  fix: name the folder whose duplicates were looked at"
            )


def _entry(row: dict[str, str], where: str) -> Entry:
    try:
        score = float(row["score"])
    except (KeyError, TypeError, ValueError):
        score = math.nan
    if not -1 <= score <= 1:
        raise UsageError(f"{where}: score is in [-1, 1], got {row.get('score')!r}")
    width, height, size = (int(row[name]) for name in (*_SIDES, "bytes"))
    reason = from_cell(row.get("reason") or "")
    return Entry(row["id"], row["keep"] == "yes", score, width, height, size, reason)
