"""Images inside zip and tar archives, read where they are: nothing is ever written to a disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from lookalike.data.decode import UnreadableImage
from lookalike.data.folders import MAX_FILE_BYTES
from lookalike.data.image_set import Reader, Unreadable
from lookalike.data.tree import Tree, as_unicode, sorted_ids, why_ignored
from lookalike.errors import DataError

MAX_RATIO = 200
"""How many times its packed size a file in a zip archive may have, if it has over `FREE_BYTES`."""

FREE_BYTES = 16 * 2**20

MAX_PACKED_TAR = 2 * 2**30
"""How many bytes a compressed tar archive may unpack to. Nothing in it can be reached without
unpacking all that comes before, so its images are kept in memory."""

_MAX_TAR_HEADER = 2**20  # bytes; a long name takes hundreds

_UNPACK = {
    ".gz": gzip.GzipFile,
    ".tgz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}

_OUTSIDE = "a path that leads outside the archive"
_LINK = "a link or device; in archives these are not followed"


def list_zip(path: Path) -> Tree:
    """Return the images in a zip archive.

    Raises:
        DataError: it is damaged, or no zip archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as problem:
        raise _damaged(path, problem) from problem
    kinds = [stat.S_IFMT(member.external_attr >> 16) for member in members]
    special = [kind not in (0, stat.S_IFREG, stat.S_IFDIR) for kind in kinds]
    return _tree(path, [member.filename for member in members], special, ZipReader(path))


def list_tar(path: Path) -> Tree:
    """Return the images in a tar archive, which may be compressed.

    Raises:
        DataError: it is damaged, no tar archive, or compressed and larger than `MAX_PACKED_TAR`.
    """
    reader: Reader
    if path.suffix.lower() in _UNPACK:
        reader = packed = PackedTarReader(path)
        members = packed.members
    else:
        try:
            with tarfile.open(path, "r:", tarinfo=_StrictTarInfo) as archive:
                members = archive.getmembers()
        except _DAMAGE as problem:
            raise _damaged(path, problem) from problem
        reader = TarReader(path, [(member.offset_data, member.size) for member in members])
    names = [f"{member.name}{'/' * member.isdir()}" for member in members]
    special = [not _is_plain(member) and not member.isdir() for member in members]
    return _tree(path, names, special, reader)


class ZipReader:
    """Reads files of a zip archive by their place in its directory.

    Each process opens the archive for itself: a handle shared among processes would be moved by one
    under another's hands.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    def __reduce__(self) -> tuple[type[ZipReader], tuple[Path]]:
        """Leave the open archive behind."""
        return ZipReader, (self._path,)

    def read(self, key: int, limit: int | None = None) -> bytes:
        """Return the bytes of one file, unless unpacking it would be unreasonable."""
        try:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = os.getpid(), zipfile.ZipFile(self._path)
            archive = self._opened[1]
            member = archive.infolist()[key]
            if member.flag_bits & 1:
                raise UnreadableImage("encrypted")
            allowed = max(FREE_BYTES, MAX_RATIO * member.compress_size)
            if member.file_size > min(allowed, MAX_FILE_BYTES):
                raise UnreadableImage(
                    f"unpacks from {member.compress_size:,} to {member.file_size:,} bytes, "
                    "more than an image does"
                )
            with archive.open(member) as file:
                # Asked for a number of bytes, it unpacks no more, whatever the archive claims.
                return file.read(min(member.file_size, limit or MAX_FILE_BYTES))
        except _DAMAGE as problem:
            raise UnreadableImage(f"damaged in its archive: {_words(problem)}") from problem


class TarReader:
    """Reads files of an uncompressed tar archive, given where each begins and how long it is."""

    def __init__(self, path: Path, spans: list[tuple[int, int]]) -> None:
        self._path = path.absolute()
        self._spans = spans

    def read(self, key: int, limit: int | None = None) -> bytes:
        """Return the bytes of one file."""
        start, size = self._spans[key]
        if size > MAX_FILE_BYTES:
            raise UnreadableImage(f"larger than {MAX_FILE_BYTES >> 20} MiB")
        try:
            with open(self._path, "rb") as file:
                file.seek(start)
                return file.read(min(size, limit or MAX_FILE_BYTES))
        except OSError as problem:
            raise UnreadableImage(f"cannot be opened: {problem.strerror}") from problem


class PackedTarReader:
    """Holds the images of a compressed tar archive, unpacked in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self.members: list[tarfile.TarInfo] = []
        self._contents: dict[int, bytes] = {}
        unpack = _UNPACK[path.suffix.lower()]
        try:
            with (
                unpack(self._path, "rb") as file,
                tarfile.open(fileobj=file, mode="r|", tarinfo=_StrictTarInfo) as archive,
            ):
                for member in archive:
                    self._take(archive, member)
        except _DAMAGE as problem:
            raise _damaged(path, problem) from problem

    def __reduce__(self) -> tuple[type[PackedTarReader], tuple[Path]]:
        """Leave the images behind; another process unpacks the archive again."""
        return PackedTarReader, (self._path,)

    def read(self, key: int, limit: int | None = None) -> bytes:
        """Return the bytes of one file."""
        return self._contents[key][:limit]

    def _take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        if member.offset_data + member.size > MAX_PACKED_TAR:
            raise DataError(
                f"{self._path} unpacks to more than {MAX_PACKED_TAR >> 30} GiB, and a compressed "
                "tar archive can only be read whole\nfix: unpack it, or take the compression away: "
                "a plain .tar or a .zip is read in place at any size"
            )
        if _is_plain(member) and why_ignored(member.name) is None:
            content = archive.extractfile(member)
            self._contents[len(self.members)] = content.read() if content else b""
        self.members.append(member)


class _StrictTarInfo(tarfile.TarInfo):
    """A member that does not take damage for the end of the archive, as `tarfile` does."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _StrictTarInfo:
        """Return the member that a block of an archive announces."""
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as problem:
            if buf and not buf.strip(b"\0"):  # an empty block: the end, as it should be
                raise
            raise tarfile.ReadError(str(problem)) from problem
        if member.type not in tarfile.REGULAR_TYPES and member.size > _MAX_TAR_HEADER:
            raise tarfile.ReadError("a name of unreasonable length")
        return member


_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.isreg() and not member.issparse()


def _tree(path: Path, names: Sequence[str], special: Sequence[bool], reader: Reader) -> Tree:
    """Sort out an archive's members, given whether each is a link or device."""
    kept: dict[str, int] = {}
    ignored: list[Unreadable] = []
    for key, (name, is_special) in enumerate(zip(names, special, strict=True)):
        parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
        inside = "/".join(parts)
        if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in parts:
            ignored.append(Unreadable(as_unicode(name), _OUTSIDE))
        elif is_special:
            ignored.append(Unreadable(as_unicode(inside), _LINK))
        elif name.endswith(("/", "\\")):
            continue
        elif reason := why_ignored(inside):
            ignored.append(Unreadable(as_unicode(inside), reason))
        else:
            if inside in kept:  # as unpacking would do it, the last one stays
                ignored.append(Unreadable(as_unicode(inside), "replaced by another of its name"))
            kept[inside] = key
    ids, places = sorted_ids(list(kept))
    keys = list(kept.values())
    return Tree(
        where=str(path),
        name=path.name.partition(".")[0],
        ids=ids,
        keys=[keys[place] for place in places],
        reader=reader,
        ignored=tuple(sorted(ignored)),
        folders=len({os.path.dirname(name) for name in kept}),
    )


def _damaged(path: Path, problem: Exception) -> DataError:
    return DataError(
        f"{path} cannot be read as an archive: {_words(problem)}\nfix: copy or download it again"
    )


def _words(problem: Exception) -> str:
    return " ".join(str(problem).split())[:120] or type(problem).__name__
