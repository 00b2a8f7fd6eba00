"""Where an export goes: nothing is destroyed unasked, and nothing half-written is left there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.durable import sync_folder
from lookalike.errors import UsageError


def refuse_existing(path: Path, card: Path, files: Collection[str], *, overwrite: bool) -> None:
    """Raise UsageError if writing would destroy what nobody said may go.

    Args:
        path: what will be written.
        card: the model card, in or beside it.
        files: names in the folder that it will be; empty if it will be a file.
        overwrite: whether what an earlier export wrote may go.
    """
    if path.exists() and path.is_dir() != bool(files):
        kind, wanted = ("a file", "folder") if files else ("a folder", "file")
        raise UsageError(f"{path} is {kind}\n  fix: name a {wanted} to write")
    inside = sorted(each.name for each in path.iterdir()) if path.is_dir() else []
    if others := [name for name in inside if name not in {*files, card.name}]:
        raise UsageError(
            f"{path} holds {others[0]}, which no export wrote; nothing in it was touched\n"
            "  fix: name a new folder"
        )
    there = [path] if inside else [each for each in (path, card) if each.is_file()]
    if there and not overwrite:
        raise UsageError(
            f"{there[0]} is there already\n  fix: --overwrite replaces it; or name another --out"
        )


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Give a hidden path to write a file or folder to; it takes its name if all goes well."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield draft
        _put(draft, path)
    finally:
        _remove(draft)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of the files in a folder."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _put(draft: Path, path: Path) -> None:
    """Give a draft its name; a folder that has it makes way."""
    earlier = path.with_name(f".{path.name}.{os.getpid()}.old")
    if path.is_dir():  # a folder does not replace one with files
        os.replace(path, earlier)
    try:
        os.replace(draft, path)
    except OSError:
        if earlier.is_dir():
            os.replace(earlier, path)
        raise
    sync_folder(path.parent)
    _remove(earlier)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
