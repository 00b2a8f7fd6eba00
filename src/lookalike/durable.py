"""Writing so that a crash leaves either the old file or the new one, whole."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lookalike.errors import LookalikeError

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def sync_folder(folder: Path) -> None:
    """Make renames and removals inside a folder survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content: readers see all of the old or all of the new.

    Raises:
        LookalikeError: no space is left; the old file is untouched.
        OSError: it cannot be written for another reason.
    """
    with open_atomically(path) as file:
        file.write(content)


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes the name once all is written and nothing went wrong.

    Raises:
        LookalikeError: no space is left; the old file is untouched.
        OSError: it cannot be written for another reason.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    clear_leftovers(path)
    try:
        with _open_held(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as problem:
        if problem.errno in NO_SPACE:
            raise no_space(path) from problem
        raise
    finally:
        temporary.unlink(missing_ok=True)  # there only if something went wrong
    sync_folder(path.parent)


def clear_leftovers(path: Path) -> None:
    """Remove what killed processes left beside a file that they were writing.

    Who writes holds a lock on what is unfinished, and the system lets go of it as a process ends,
    however it ends. So what nobody holds is a leftover; where locks cannot be had, none is touched.
    """
    beginning = f".{path.name}."
    with os.scandir(path.parent) as entries:
        names = [one.name for one in entries if one.name.startswith(beginning)]
    for name in names:
        number = name.removeprefix(beginning).removesuffix(".tmp")
        if not (name.endswith(".tmp") and number.isdecimal()):
            continue
        leftover = path.with_name(name)
        try:
            descriptor = os.open(leftover, os.O_RDONLY)
        except OSError:  # gone by now, or no business of ours
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink(missing_ok=True)
        except OSError:
            continue
        finally:
            os.close(descriptor)


def _open_held(path: Path) -> BinaryIO:
    """Open a file to write, and hold a lock on it so that nobody takes it for a leftover."""
    while True:
        file = open(path, "wb")  # noqa: SIM115  the caller closes it
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # a file system without locks, where nobody clears up either
            return file
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            return file
        file.close()  # somebody cleared it up between its making and its lock


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[int]:
    """Keep other processes from changing a folder meanwhile; one that dies lets go of it.

    Args:
        folder: that is there.
        shared: let others in who want to share it too.

    Yields:
        the folder's descriptor.

    Raises:
        LookalikeError: another process has it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        os.close(descriptor)
        raise LookalikeError(
            f"another process changes {folder}\n  fix: wait until it is done"
        ) from problem
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def no_space(path: Path, why: str = "the disk or the quota is full") -> LookalikeError:
    """Return the one line that a user reads when a disk is full."""
    return LookalikeError(
        f"no space left to write {path} ({why}); what was saved before is intact\n"
        "  fix: free some space, then run the same command again: it goes on from there"
    )
