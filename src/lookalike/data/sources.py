"""What a SOURCE may be: a folder, an archive, arrays, a table, or the name of a known set.

| source | images | classes |
|---|---|---|
| a folder of any depth, `.zip`, `.tar`, `.tar.gz` | all files named as images are | see `tree` |
| `.npz` with `images` | (N, H, W) or (N, H, W, 3) uint8 | `labels`: integers or names |
| `.csv` or `.parquet` with a column `path` | files, relative to the table | column `label` |
| a folder of `train.npz` and `test.npz` (or `val`, ...) | as above, a split each | as above |
| `hands`, `omniglot`, `cifar10`, ... | see `known` | see `known` |

Where there are splits, `/test` behind a source takes that one. A path that exists is a path, also
if it is called like a known set.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from lookalike.data.archives import list_tar, list_zip
from lookalike.data.arrays import read_arrays
from lookalike.data.folders import list_folder
from lookalike.data.image_set import SPLITS, ImageSet, split_name
from lookalike.data.known import KNOWN, KnownSource
from lookalike.data.split_files import SplitFiles
from lookalike.data.tables import read_table
from lookalike.data.tree import why_ignored
from lookalike.errors import UsageError

__all__ = ["ImageSet", "open_source", "splits"]


class _Source(Protocol):
    """Something that holds images, perhaps in splits."""

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits, the default first; none if there are no splits."""

    def open(self, split: str | None) -> ImageSet:
        """Return the images of one split, or all where there are no splits."""


def open_source(
    spec: str | Path,
    *,
    split: str | None = None,
    download: bool = False,
    root: Path | None = None,
) -> ImageSet:
    """Return the images of a source.

    Args:
        spec: a path or a name, as above.
        split: which split to take; by default the one that the path ends in, or `train`.
        download: whether a known set may be fetched if it is not there.
        root: where known sets are kept; None for `$LOOKALIKE_DATA` or the usual cache.

    Raises:
        UsageError: there is nothing of that path or name, no such split, or it is no source.
        DataError: it is damaged, or holds no images.
        LookalikeError: a download failed.
    """
    source, inner = _find(spec, partial(KnownSource, download=download, root=root))
    if inner and split and split != inner:
        raise UsageError(f"{spec} is the split {inner!r}, so it has no split {split!r}")
    return source.open(inner or split)


def splits(spec: str | Path) -> tuple[str, ...]:
    """Return the names of a source's splits, the default first; none if it is a split or has none.

    Raises:
        UsageError: there is nothing of that path or name, or it is no source.
        DataError: it is damaged.
    """
    source, inner = _find(spec, KnownSource)
    return () if inner else source.splits()


def _find(spec: str | Path, known: Callable[[str], _Source]) -> tuple[_Source, str | None]:
    """Return what a spec leads to, and the split it names."""
    path = Path(spec).expanduser()
    try:
        if path.exists():
            return _in_split_folder(path) or (_at(path), None)
        if (split := split_name(path.name)) and path.parent.exists():
            return _at(path.parent), split
    except OSError as problem:
        raise UsageError(f"{spec} cannot be opened: {problem.strerror}") from problem
    name, _, inner = str(spec).partition("/")
    if name in KNOWN:
        return known(name), inner or None
    alike = difflib.get_close_matches(name, KNOWN, n=1)
    meant = f"did you mean {alike[0]}? " if alike else ""
    raise UsageError(f"{spec} does not exist\nfix: {meant}{_CHOICE}")


_CHOICE = (
    "give a folder, a .zip, .tar, .tar.gz, .npz, .csv or .parquet file, or a known set: "
    f"{', '.join(KNOWN)}"
)


def _at(path: Path) -> _Source:
    """Return what lies at a path that exists."""
    name = path.name.lower()
    if path.is_dir():
        arrays = _split_arrays(path)
        if arrays:
            return SplitFiles(str(path), path.resolve().name, arrays, read_arrays)
        return list_folder(path)
    if not path.is_file():
        raise UsageError(f"{path} is neither a file nor a folder")
    if name.endswith(".zip"):
        return list_zip(path)
    if name.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
        return list_tar(path)
    if name.endswith(".npz"):
        return SplitFiles(str(path), path.stem, {"": path}, read_arrays)
    if name.endswith((".csv", ".parquet")):
        return SplitFiles(str(path), path.stem, {"": path}, read_table)
    if why_ignored(name) is None:
        raise UsageError(f"{path} is one image\nfix: give the folder that holds all of them")
    raise UsageError(f"{path} is no source of images\nfix: {_CHOICE}")


def _in_split_folder(path: Path) -> tuple[_Source, str] | None:
    """Return a split together with its siblings, so that their classes are numbered together."""
    split = split_name(path.stem)
    if path.suffix == ".npz":
        arrays = _split_arrays(path.parent)
        if split in arrays and arrays[split].name == path.name:
            name = path.absolute().parent.name
            return SplitFiles(str(path.parent), name, arrays, read_arrays), split
    elif split and path.is_dir() and _only_split_folders(path.parent):
        tree = list_folder(path.parent)
        if split in tree.splits():
            return tree, split
    return None


def _only_split_folders(folder: Path) -> bool:
    """Tell at a glance whether a folder may come in splits: listing all of it may take long."""
    names = [entry.name for entry in folder.iterdir() if entry.is_dir()]
    beside = {split_name(name) for name in names if not why_ignored(f"{name}/")}
    return "train" in beside and None not in beside


def _split_arrays(folder: Path) -> dict[str, Path]:
    """Return the file of each split if a folder holds splits as `.npz` files."""
    arrays = {
        split: path
        for split in SPLITS
        for path in (folder / f"{name}.npz" for name in (split.upper(), split.title(), split))
        if path.is_file()
    }
    return arrays if "train" in arrays and len(arrays) > 1 else {}
