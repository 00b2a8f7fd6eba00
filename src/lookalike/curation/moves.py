"""Moving spare images away, so that every move can be taken back, whenever it was cut short.

A line goes to `undo.csv`, and onto the disk, before its image moves. So whenever a process is
killed, the file names every image that may have moved, and both `apply_moves` and `undo_moves` go
on from there. Nothing is deleted and nothing overwritten.
"""

from __future__ import annotations

import csv
import filecmp
import io
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lookalike.curation.table import TOLD, read_rows
from lookalike.durable import sync_folder
from lookalike.errors import DataError, UsageError
from lookalike.names import from_cell, to_cells

UNDO = "undo.csv"
_COLUMNS = ["from", "to"]


@dataclass(frozen=True)
class Move:
    """A file that goes from one place to another; both absolute."""

    source: Path
    target: Path


def require_none_begun(folder: Path) -> None:
    """Refuse to write new duplicates where moves of older ones can still be taken back.

    Raises:
        UsageError: there is an `undo.csv`.
    """
    if (folder / UNDO).exists():
        raise UsageError(
            f"images were moved by the list in {folder}, and {UNDO} there can take that back\n"
            f"  fix: name another --out, or lookalike apply {folder} --undo"
        )


def read_folder(found: Path) -> Path:
    """Return the folder that the ids of a list of duplicates are paths in.

    Args:
        found: what `lookalike duplicates` wrote.

    Raises:
        UsageError: it wrote nothing there, or the images are no files of one folder.
    """
    record = found / TOLD
    try:
        folder = json.loads(record.read_bytes())["folder"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise UsageError(
            f"{record} cannot be read\n  fix: write it with lookalike duplicates"
        ) from problem
    if not isinstance(folder, str) or not Path(folder).is_dir():
        raise UsageError(f"the images of {found} are no files of a folder, so none can be moved")
    return Path(folder)


class Skipped(NamedTuple):
    """An image that a table wants moved and that stays where it is, and why.

    id: as the table has it.
    reason: a few words on one line.
    """

    id: str
    reason: str


class Plan(NamedTuple):
    """What is to be moved.

    moves: in the order of the table.
    skipped: what stays although the table wants it moved.
    """

    moves: list[Move]
    skipped: list[Skipped]


def plan_moves(table: Path, folder: Path, target: Path, undo: Path) -> Plan:
    """Return the moves that a table of duplicates asks for, after looking at each of them.

    What an image is, its device and inode tell, never its name: a file of two names is one image,
    and what a kept link leads to is kept. What cannot be moved, or whose group keeps no image that
    is still what it was, stays, and is told.

    Args:
        table: `duplicates.csv`; rows whose `keep` is no are moved.
        folder: what the ids are paths in.
        target: where to move them, to the same path below it.
        undo: the file that remembers moves; those that it names and that are done are left out.

    Raises:
        UsageError: the table asks for what must not be: a path outside the folder, a group of which
            nothing is kept, a target inside the folder.
    """
    folder, target = folder.resolve(), target.expanduser().resolve()
    if target.is_relative_to(folder):
        raise UsageError(
            f"{target} is inside {folder}, where the moved images would be found again\n"
            "  fix: name a folder beside it"
        )
    begun = {move.source: move for move in read_undo(undo)} if undo.exists() else {}
    rows = [(row, _inside(folder, row["id"], table)) for row in read_rows(table)]
    kept = {file: row["id"] for row, path in rows if row["keep"] == "yes" and (file := _file(path))}
    _require_kept([row for row, _ in rows], table)
    safe = {row["group"] for row, path in rows if row["keep"] == "yes" and _unchanged(row, path)}
    plan = Plan([], [])
    seen: set[Path] = set()
    for row, path in rows:
        move = begun.get(path, Move(path, target / path.relative_to(folder)))
        done = path in begun and not os.path.lexists(path)
        if row["keep"] == "yes" or path in seen or done:
            continue
        seen.add(path)
        why = _immovable(move, int(row["bytes"]), begun=path in begun)
        if (own := _file(path)) in kept and own is not None:
            why = f"the same file as {kept[own]}, which is kept: links are no copies"
        elif not why and row["group"] not in safe:
            why = f"what group {row['group']} keeps is gone or has changed"
        if why:
            plan.skipped.append(Skipped(row["id"], why))
        else:
            plan.moves.append(move)
    return plan


def apply_moves(moves: list[Move], undo: Path) -> int:
    """Move files; return how many were moved.

    Args:
        moves: from `plan_moves`.
        undo: the file that remembers them; it is added to.

    Raises:
        DataError: something is at a target already.
        OSError: a file cannot be moved; those before it have been, and can be taken back.
    """
    begun = set(read_undo(undo)) if undo.exists() else set()
    with _journal(undo) as file:
        for move in moves:
            if move not in begun:
                csv.writer(file).writerow(to_cells((move.source, move.target)))
                file.flush()
                os.fsync(file.fileno())
            _move(move.source, move.target, begun=move in begun)
    return len(moves)


def undo_moves(undo: Path) -> int:
    """Move every file back that `undo.csv` names, the last first; return how many.

    The file is removed when all are back.

    Raises:
        UsageError: there is no such file.
        DataError: a file is neither where it was nor where it went, or another is in its place.
    """
    moves = read_undo(undo)
    for move in moves:
        here, there = os.path.lexists(move.source), os.path.lexists(move.target)
        if not here and not there:
            raise DataError(
                f"{move.target} is gone, and so it cannot go back to {move.source}\n"
                f"  fix: put it there, or take its line out of {undo}"
            )
        if here and there and not _same(move.source, move.target):
            raise DataError(
                f"{move.source} is there already, so {move.target} cannot go back\n"
                "  fix: move one of them elsewhere"
            )
    back = 0
    for move in reversed(moves):
        if os.path.lexists(move.target):
            _move(move.target, move.source, begun=True)
            back += 1
    undo.unlink()
    sync_folder(undo.parent)
    return back


def read_undo(undo: Path) -> list[Move]:
    """Return the moves that `undo.csv` names; a last line that was cut short has not been made.

    Raises:
        UsageError: there is no such file, or it is no such file.
    """
    try:
        text = undo.read_bytes().decode(errors="surrogateescape")
    except FileNotFoundError as problem:
        raise UsageError(f"there is no {undo}, so nothing was moved") from problem
    whole = text[: text.rfind("\n") + 1]
    rows = list(csv.reader(io.StringIO(whole, newline="")))
    if (rows and rows[0] != _COLUMNS) or any(len(row) != 2 for row in rows):
        raise UsageError(f"{undo} is no list of moves: its columns are from and to")
    return [Move(*(Path(from_cell(cell)) for cell in row)) for row in rows[1:]]


def _journal(undo: Path) -> io.TextIOWrapper:
    """Open the file to add to it; a line that was cut short is taken off first."""
    moves = read_undo(undo) if undo.exists() else []
    file = open(undo, "a", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: SIM115
    content = undo.read_bytes()
    file.truncate(content.rfind(b"\n") + 1)
    if not moves and not content.rfind(b"\n") > 0:
        csv.writer(file).writerow(_COLUMNS)
        file.flush()
        os.fsync(file.fileno())
        sync_folder(undo.parent)
    return file


def _move(source: Path, target: Path, *, begun: bool) -> None:
    """Move a file without ever overwriting one; going on where an earlier move was cut short."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not (begun and os.path.lexists(target) and _same(source, target)):
        try:
            os.link(source, target, follow_symlinks=False)  # refuses what is there, at once
        except FileExistsError as problem:
            raise DataError(f"{target} is there already, and nothing is overwritten") from problem
        except OSError:  # another file system, or one without links
            _copy(source, target)
    sync_folder(target.parent)
    source.unlink()
    sync_folder(source.parent)


def _copy(source: Path, target: Path) -> None:
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.copy2(source, unfinished, follow_symlinks=False)
        with open(unfinished, "rb") as file:
            os.fsync(file.fileno())
        if os.path.lexists(target):
            raise DataError(f"{target} is there already, and nothing is overwritten")
        os.rename(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def _same(one: Path, other: Path) -> bool:
    """Return whether two paths are one file, or hold the same."""
    return os.path.samefile(one, other) or filecmp.cmp(one, other, shallow=False)


def _inside(folder: Path, name: str, table: Path) -> Path:
    """Return the path of an image in a folder; links on the way to it must not lead outside."""
    place = folder / name
    path = place.parent.resolve() / place.name
    if place.name in {"", ".."} or "\n" in name or not path.is_relative_to(folder):
        raise UsageError(f"{table} names {name!r}, which is no image inside {folder}")
    return path


def _require_kept(rows: list[dict[str, str]], table: Path) -> None:
    """Refuse a table that has a group of which nothing is kept."""
    keeping = {row["group"] for row in rows if row["keep"] == "yes"}
    for row in rows:
        if row["group"] not in keeping:
            raise UsageError(
                f"{table} keeps no image of group {row['group']}\n"
                "  fix: write yes in the column keep of one of them"
            )


def _file(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others, whatever it is called; links are followed."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _unchanged(row: dict[str, str], path: Path) -> bool:
    return path.is_file() and path.stat().st_size == int(row["bytes"])


def _immovable(move: Move, size: int, *, begun: bool) -> str:
    """Return why a file has to stay, "" if it can go."""
    if move.source.is_symlink():
        return "a link, which holds nothing of its own"
    if not move.source.is_file():
        return "no plain file any more"
    if move.source.stat().st_size != size:
        return "it has changed since it was compared"
    if os.path.lexists(move.target) and not begun:
        return f"{move.target} is there already, and nothing is overwritten"
    return ""
