"""Writing so that a crash leaves either the old file or the new one, whole."""

from __future__ import annotations

import errno
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
    try:
        with open(temporary, "wb") as file:
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


def no_space(path: Path, why: str = "the disk or the quota is full") -> LookalikeError:
    """Return the one line that a user reads when a disk is full."""
    return LookalikeError(
        f"no space left to write {path} ({why}); what was saved before is intact\n"
        "  fix: free some space, then run the same command again: it goes on from there"
    )
