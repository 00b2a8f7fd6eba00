"""Lists of image pairs that are or are not of the same thing, for verification.

| file | a pair |
|---|---|
| `.csv` or `.parquet` | a row of `path_a`, `path_b`, `same` and, if there are folds, `fold` |
| any other | a line as in LFW's pairs.txt: Huang et al. 2007, UMass technical report 07-49 |

LFW's file begins with the number of folds and of pairs of each kind in a fold (`10 300`), or with
the latter alone. Each fold is that many lines `name number number` of one person, then as many
`name number other number` of two. Image 7 of Name is called Name/Name_0007, with any suffix.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.data.decode import UnreadableImage
from lookalike.data.folders import MAX_FILE_BYTES, read_file
from lookalike.data.image_set import ImageSet
from lookalike.data.tree import as_unicode
from lookalike.errors import DataError

MAX_PAIRS = 20_000_000
"""More are refused: the largest published lists have about 16 million."""

MAX_FOLDS = 100

_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_COLUMNS = ("path_a", "path_b", "same")


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of images of a set.

    Args:
        first: (P,) int64, position of one image in the set.
        second: (P,) int64, position of the other.
        same: (P,) bool, whether both show the same person or thing.
        fold: (P,) int64, the part of a cross-validation that a pair is in; -1 where there is none.
        skipped: pairs left out because an image of theirs is not in the set.
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    same: npt.NDArray[np.bool_]
    fold: npt.NDArray[np.int64]
    skipped: int = 0

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.first)

    def select(self, kept: npt.NDArray[np.bool_]) -> Pairs:
        """Return the pairs where `kept`, (P,), is true; the others count as skipped."""
        lost = len(self) - int(kept.sum())
        return Pairs(
            self.first[kept],
            self.second[kept],
            self.same[kept],
            self.fold[kept],
            self.skipped + lost,
        )


def read_pairs(
    path: str | Path,
    images: ImageSet,
    *,
    allow_missing: bool = False,
    otherwise: str = "leave these pairs out with --allow-missing",
) -> Pairs:
    """Return the pairs that a file lists.

    Args:
        path: the file; its suffix tells its format, as above.
        images: the set that its names are looked up in.
        allow_missing: leave out pairs of images that are not in the set; the others keep their
            folds.
        otherwise: what to do, unless `allow_missing`, that the message offers besides.

    Raises:
        DataError: it cannot be read, a line is not as it should be, it lists an image beside
            itself, or, unless `allow_missing`, one that is not there.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        listed = _read_parquet(path)
    else:
        try:
            text = read_file(path).decode("utf-8-sig", "surrogateescape")
        except UnreadableImage as problem:
            raise DataError(f"{path}: {problem}") from problem
        listed = _read_csv(path, text) if suffix == ".csv" else _read_lfw(path, text)
    places = _places_of_people(images) if listed.unit == "line" else _places_in_table(images)
    remedy = "" if allow_missing else f", or {otherwise}"
    return _look_up(listed, places, path, images, allow_missing=allow_missing, remedy=remedy)


class _Listed(NamedTuple):
    """What a file lists, before its images are looked up.

    names: of images, each once.
    first: (P,) positions in `names`.
    second: (P,) likewise.
    same: (P,).
    fold: (P,).
    unit: what a pair is in the file, for messages: a line or a row.
    """

    names: tuple[str, ...]
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    same: npt.NDArray[np.bool_]
    fold: npt.NDArray[np.int64]
    unit: str

    def where(self, pair: int) -> str:
        """Return where the file lists a pair; LFW's first line is its header."""
        return f"line {pair + 2}" if self.unit == "line" else f"row {pair + 1}"


class _Row(NamedTuple):
    first: str
    second: str
    same: bool
    fold: int


def _collect(rows: Iterable[_Row], path: Path, unit: str) -> _Listed:
    numbers: dict[str, int] = {}
    pairs: list[tuple[int, int, bool, int]] = []
    for row in rows:
        first = numbers.setdefault(row.first, len(numbers))
        pairs.append((first, numbers.setdefault(row.second, len(numbers)), row.same, row.fold))
        if len(pairs) > MAX_PAIRS:
            raise DataError(f"{path} lists more than {MAX_PAIRS:,} pairs")
    table = np.array(pairs, dtype=np.int64).reshape(-1, 4)
    first_column, second, same, fold = table.T
    return _Listed(tuple(numbers), first_column, second, same.astype(bool), fold, unit)


# LFW


def _read_lfw(path: Path, text: str) -> _Listed:
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    header = [_whole(word) for word in lines[0].split()] if lines else []
    if len(header) not in (1, 2) or None in header or 0 in header:
        raise DataError(
            f"{path}, line 1: want the numbers of folds and of pairs of each kind in a fold, such "
            f"as '10 300', got {_shown(lines[0] if lines else '')}\n"
            "  fix: a table of pairs has columns path_a,path_b,same and a name that ends in .csv"
        )
    folds, count = (1, *header)[-2:]
    wanted = 2 * int(folds or 0) * int(count or 0)
    if len(lines) - 1 != wanted:
        raise DataError(
            f"{path}: its first line tells of {wanted:,} pairs, and {len(lines) - 1:,} lines follow"
        )
    if int(folds or 0) > MAX_FOLDS:
        raise DataError(f"{path}, line 1: want at most {MAX_FOLDS} folds, got {folds}")
    return _collect(_lfw_rows(path, lines[1:], int(count or 0), folds == 1), path, "line")


def _lfw_rows(path: Path, lines: list[str], count: int, single: bool) -> Iterator[_Row]:
    for number, line in enumerate(lines):
        fold, place = divmod(number, 2 * count)
        same = place < count
        words = line.split("\t") if "\t" in line else line.split()
        if same and len(words) == 3:
            words.insert(2, words[0])
        indices = [_whole(words[1]), _whole(words[3])] if len(words) == 4 else [None]
        if None in indices or (same and words[0] != words[2]):
            kind = "'name number number', of one person" if same else "'name number other number'"
            raise DataError(f"{path}, line {number + 2}: want {kind}, got {_shown(line)}")
        first, second = (
            f"{name}/{name}_{index:04d}"
            for name, index in zip((words[0], words[2]), indices, strict=True)
        )
        yield _Row(as_unicode(first), as_unicode(second), same, -1 if single else fold)


def _whole(word: str) -> int | None:
    """Return the whole number that a word writes with at most nine digits, or None."""
    return int(word) if word.isascii() and word.isdecimal() and len(word) <= 9 else None


# Tables


def _read_csv(path: Path, text: str) -> _Listed:
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        columns = _places_of_columns(path, next(rows, []))
        return _collect(_csv_rows(path, rows, columns), path, "row")
    except csv.Error as problem:
        raise DataError(f"{path} cannot be read as a table: {problem}") from problem


def _csv_rows(path: Path, rows: Iterator[list[str]], columns: list[int]) -> Iterator[_Row]:
    number = 0
    for row in rows:
        if not row:  # an empty line
            continue
        number += 1
        if len(row) <= max(columns):
            raise DataError(f"{path}, row {number}: want a value in each column, got {row!r:.120}")
        first, second, same, *fold = (row[place] for place in columns)
        yield _Row(
            as_unicode(first),
            as_unicode(second),
            _truth(same, path, number),
            _fold(fold[0] if fold else None, path, number),
        )


def _read_parquet(path: Path) -> _Listed:
    import pyarrow.parquet  # noqa: PLC0415  half a second that only this kind of table costs

    if not path.is_file():
        raise DataError(f"{path}: not a plain file")
    try:
        names = pyarrow.parquet.read_schema(path).names
        wanted = [names[place] for place in _places_of_columns(path, names)]
        with pyarrow.parquet.ParquetFile(path, read_dictionary=list(_COLUMNS[:2])) as file:
            about = file.metadata
            size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
            if about.num_rows > MAX_PAIRS or size > MAX_FILE_BYTES:
                raise DataError(
                    f"{path} holds {about.num_rows:,} pairs in {size:,} bytes; want at most "
                    f"{MAX_PAIRS:,} in {MAX_FILE_BYTES:,}"
                )
            table = file.read(columns=wanted, use_threads=False)
    except (OSError, ValueError) as problem:
        raise DataError(f"{path} cannot be read as a table: {problem}") from problem
    numbers: dict[str, int] = {}
    first, second = (_numbered(table.column(name), numbers, path) for name in _COLUMNS[:2])
    same = [_truth(value, path, row) for row, value in _values(table, "same")]
    fold = np.full(len(first), -1)
    if "fold" in wanted:
        fold = np.array([_fold(value, path, row) for row, value in _values(table, "fold")])
    return _Listed(
        tuple(numbers), first, second, np.array(same, dtype=bool), fold.astype(np.int64), "row"
    )


def _values(table: object, name: str) -> Iterator[tuple[int, object]]:
    return enumerate(table.column(name).to_pylist(), start=1)  # type: ignore[attr-defined]


def _numbered(column: object, numbers: dict[str, int], path: Path) -> npt.NDArray[np.int64]:
    """Return the number of each name of a column of dictionaries; each name is unpacked once."""
    parts = [np.zeros(0, dtype=np.int64)]
    for chunk in column.chunks:  # type: ignore[attr-defined]
        if chunk.null_count:
            raise DataError(f"{path}: {chunk.null_count:,} rows have an empty path")
        names = [str(name) for name in chunk.dictionary.to_pylist()]
        known = np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
        parts.append(known[chunk.indices.to_numpy()])
    return np.concatenate(parts)


def _places_of_columns(path: Path, names: list[str]) -> list[int]:
    """Return where the columns of a table are: two paths, same and, if it is there, fold."""
    if missing := [name for name in _COLUMNS if name not in names]:
        has = ", ".join(names)[:200] or "none"
        raise DataError(
            f"{path} has no column {' or '.join(missing)} (it has: {has})\n"
            "  fix: call the columns path_a, path_b and same (1 or 0) and, if there is one, fold"
        )
    return [names.index(name) for name in (*_COLUMNS, "fold") if name in names]


def _truth(value: object, path: Path, row: int) -> bool:
    word = str(value).strip().lower().removesuffix(".0")  # 1.0, where a table had gaps once
    if word not in _TRUTHS:
        raise DataError(f"{path}, row {row}: want same to be 1 or 0, got {_shown(value)}")
    return _TRUTHS[word]


def _fold(value: object, path: Path, row: int) -> int:
    if value is None:
        return -1
    fold = _whole(str(value).strip().removesuffix(".0"))
    if fold is None or fold >= MAX_FOLDS:
        raise DataError(
            f"{path}, row {row}: want fold to be a whole number from 0 to {MAX_FOLDS - 1}, "
            f"got {_shown(value)}"
        )
    return fold


# Names to images


_AMBIGUOUS = -2


def _places_in_table(images: ImageSet) -> dict[str, int]:
    return {name: place for place, name in enumerate(images.ids)}


def _places_of_people(images: ImageSet) -> dict[str, int]:
    """Return images by folder and name without suffix, wherever in the set the folders lie."""
    places: dict[str, int] = {}
    for place, name in enumerate(images.ids):
        folders, _, file = name.rpartition("/")
        key = f"{folders.rpartition('/')[2]}/{file.rpartition('.')[0]}"
        places[key] = _AMBIGUOUS if key in places else place
    return places


def _look_up(
    listed: _Listed,
    places: dict[str, int],
    path: Path,
    images: ImageSet,
    *,
    allow_missing: bool,
    remedy: str,
) -> Pairs:
    composed = {unicodedata.normalize("NFC", name): place for name, place in places.items()}
    found = np.array(
        [
            places.get(name, composed.get(unicodedata.normalize("NFC", name), -1))
            for name in listed.names
        ],
        dtype=np.int64,
    )
    first, second = found[listed.first], found[listed.second]
    if (twice := np.flatnonzero(found == _AMBIGUOUS)).size:
        name = _shown(listed.names[twice[0]])
        raise DataError(f"{path} names {name}, and {images.name} has several images of that name")
    alone = np.flatnonzero(listed.first == listed.second)
    if alone.size:
        raise DataError(
            f"{path}, {listed.where(int(alone[0]))}: an image is paired with itself, "
            f"{_shown(listed.names[listed.first[alone[0]]])}"
        )
    pairs = Pairs(first, second, listed.same, listed.fold)
    there = (first >= 0) & (second >= 0)
    if there.all() and len(pairs):
        return pairs
    if allow_missing and there.any():
        return pairs.select(there)
    if not len(pairs):
        raise DataError(f"{path} lists no pairs")
    lost = int(np.flatnonzero(~there)[0])
    absent = listed.names[listed.first[lost] if first[lost] < 0 else listed.second[lost]]
    raise DataError(
        f"{int((~there).sum()):,} of the {len(pairs):,} pairs in {path} name images that are not "
        f"in {images.name}; the first is {_shown(absent)} on {listed.where(lost)}\n"
        f"  fix: name the images that the pairs are of{remedy}"
    )


def _shown(value: object) -> str:
    """Return a value as it may be written on a terminal, cut short."""
    words = repr(value)
    return words if len(words) <= 120 else f"{words[:117]}..."
