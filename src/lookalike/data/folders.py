"""Images in a folder of any depth, and the reading of single files."""

from __future__ import annotations

import os
import stat
import unicodedata
from pathlib import Path

from lookalike.data.decode import UnreadableImage
from lookalike.data.image_set import UNLISTED, Unreadable
from lookalike.data.tree import Tree, as_unicode, sorted_ids, why_ignored
from lookalike.errors import UsageError

MAX_FILE_BYTES = 512 * 2**20
"""Larger files are refused: they are no images, or none that fits under a sensible pixel limit."""


def read_file(path: str | Path, limit: int | None = None) -> bytes:
    """Return the first `limit` bytes of a plain file; never waits on a pipe or a device.

    Raises:
        UnreadableImage: it is not there, may not be read, is no plain file, or is too large.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableImage("not a plain file")
            if status.st_size > MAX_FILE_BYTES:
                raise UnreadableImage(f"larger than {MAX_FILE_BYTES >> 20} MiB")
            return file.read(limit or MAX_FILE_BYTES)
    except OSError as problem:
        raise UnreadableImage(f"cannot be opened: {problem.strerror}") from problem
    except ValueError as problem:  # a path with a zero byte
        raise UnreadableImage("not the name of any file") from problem


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class FileReader:
    """Reads files by their paths, relative to a folder or absolute."""

    def __init__(self, root: Path, paths: tuple[str, ...]) -> None:
        self._root = str(root)
        self._paths = paths

    @property
    def root(self) -> str:
        """The folder that relative paths begin in."""
        return self._root

    def identify(self, key: int) -> tuple[int, int] | None:
        """Return the device and inode of a file, links followed; None if it is not there."""
        try:
            status = os.stat(self._path(key))
        except (OSError, ValueError):
            return None
        return status.st_dev, status.st_ino

    def is_link(self, key: int) -> bool:
        """Return whether a path is a link to another."""
        return os.path.islink(self._path(key))

    def read(self, key: int, limit: int | None = None) -> bytes:
        """Return the bytes of one file."""
        return read_file(self._path(key), limit)

    def _path(self, key: int) -> str:
        path = os.path.join(self._root, self._paths[key])
        return path if path.isascii() or "\0" in path else _in_the_form_that_is_there(path)


def _in_the_form_that_is_there(path: str) -> str:
    """Return a path, each name in the Unicode form that its folder has it in, if it has it."""
    if os.path.lexists(path):
        return path
    here = os.path.abspath(os.sep)
    for name in os.path.abspath(path).split(os.sep):
        forms = (name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))
        ways = [os.path.join(here, form) for form in forms]
        here = next((way for way in ways if os.path.lexists(way)), ways[0])
    return here


def list_folder(root: Path) -> Tree:
    """Return the images below a folder.

    Links are followed, and each folder is read once: so loops end, and what a second way leads to
    is listed among the ignored.

    Raises:
        UsageError: the folder itself cannot be listed.
    """
    paths: list[str] = []
    ignored: list[Unreadable] = []
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            place = os.stat(root / folder)
            if (place.st_dev, place.st_ino) in seen:
                ignored.append(Unreadable(as_unicode(folder), "a link to a folder already read"))
                continue
            seen.add((place.st_dev, place.st_ino))
            with os.scandir(root / folder) as entries:
                found = sorted(
                    f"{folder}{entry.name}{'/' * _is_folder(entry)}" for entry in entries
                )
        except OSError as problem:
            reason = f"{UNLISTED}: {problem.strerror}"
            if not folder:
                raise UsageError(f"{root} {reason}") from problem
            ignored.append(Unreadable(as_unicode(folder), reason))
            continue
        for path in reversed(found):  # the stack turns their order round once more
            why = why_ignored(path)
            if why:
                ignored.append(Unreadable(as_unicode(path), why))
            elif path.endswith("/"):
                waiting.append(path)
            else:
                paths.append(path)
    ids, keys = sorted_ids(paths)
    return Tree(
        where=str(root),
        name=root.resolve().name or str(root),
        ids=ids,
        keys=keys,
        reader=FileReader(root.absolute(), tuple(paths)),
        ignored=tuple(sorted(ignored)),
        folders=len(seen),
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere: reading it will tell
        return False
