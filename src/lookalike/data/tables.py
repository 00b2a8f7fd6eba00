"""Images named by a CSV or Parquet table with a column `path` and, if wanted, `label`.

The columns may have their other usual names, such as `Filename` and `Class`, in any case.

A table is its owner's word: its paths may lead anywhere, beside the table or above it. But only
plain files are read; what is missing, or is a folder, pipe or device, is listed as unreadable.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lookalike.data.folders import FileReader
from lookalike.data.image_set import label_of_text
from lookalike.data.split_files import Part
from lookalike.data.tree import as_unicode
from lookalike.errors import DataError
from lookalike.names import from_cell

Columns = dict[str, list[Any]]


def read_table(path: Path, split: str) -> Part:
    """Return the images that a table names, in its order; relative paths begin at the table.

    Raises:
        DataError: it is damaged, or has no column `path`.
    """
    try:
        columns = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    except (OSError, ValueError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read as a table: {problem}") from problem
    file, label = _choose(columns, _PATHS), _choose(columns, _LABELS)
    if file is None:
        raise DataError(
            f"{path} has no column `path` (it has: {', '.join(columns) or 'none'})\n"
            "fix: call the column of files `path`, and the one of classes, if any, `label`"
        )
    values = columns[file]
    if other := next((value for value in values if not isinstance(value, (str, type(None)))), None):
        raise DataError(
            f"the column {file} of {path} must hold the paths of files, got {other!r:.60}\n"
            "fix: call the column of files `path`"
        )
    paths = tuple(value or "" for value in values)
    ids = tuple(
        as_unicode(name) or f"row {number}, which has no path"
        for number, name in enumerate(paths, start=1)
    )
    classes = [None] * len(paths) if label is None else columns[label]
    classes = [label_of_text(value) if isinstance(value, str) else value for value in classes]
    unused = [name for name in columns if name and name not in {file, label}]
    remarks = (f"columns that tell nothing of classes: {', '.join(unused)}",) if unused else ()
    return Part(ids, classes, FileReader(path.absolute().parent, paths), remarks)


_PATHS = (
    *("path", "file", "filename", "file_name", "filepath", "file_path"),
    *("image", "image_path", "image_file", "img", "img_path"),
)
_LABELS = ("label", "labels", "class", "class_name", "category")


def _choose(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """Return the column that is called by the first of some names, in any case."""
    found = {column.lower(): column for column in reversed(list(columns))}
    return next((found[name] for name in names if name in found), None)


def read_columns(path: Path) -> Columns:
    """Return what a table tells of its images besides path and label: a value a row, by column.

    Of a Parquet table these are numbers, truths, dates and text. A path to no table has none.

    Raises:
        DataError: it is damaged.
    """
    kind = path.suffix.lower()
    if kind not in {".csv", ".parquet"} or not path.is_file():
        return {}
    try:
        columns = _read_scalars(path) if kind == ".parquet" else _read_csv(path)
    except (OSError, ValueError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read as a table: {problem}") from problem
    used = {_choose(columns, _PATHS), _choose(columns, _LABELS), ""}
    return {name: values for name, values in columns.items() if name not in used}


def _read_scalars(path: Path) -> Columns:
    import pyarrow.parquet  # noqa: PLC0415

    types = pyarrow.types
    with pyarrow.parquet.ParquetFile(path) as file:
        plain = [
            field.name
            for field in file.schema_arrow
            if types.is_primitive(field.type) or types.is_string(field.type)
        ]
        columns: Columns = file.read(columns=plain, use_threads=False).to_pydict()
    return columns


def _read_csv(path: Path) -> Columns:
    # Bytes that are no UTF-8 are kept as Python keeps them in file names, so such files are found.
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.DictReader(file, restval="", restkey="")
        columns: Columns = {name: [] for name in rows.fieldnames or ()}
        for row in rows:
            for name, values in columns.items():
                value = row[name]  # a list, of what a row has beyond its columns
                values.append(from_cell(value) if isinstance(value, str) else value)
    return {name.strip(): _without_margin(values) for name, values in columns.items()}


def _without_margin(cells: list[str]) -> list[str]:
    """Return cells without the blanks that some write behind every comma."""
    full = [cell for cell in cells if cell]
    margin = bool(full) and all(cell[0] in " \t" for cell in full)
    return [cell.lstrip(" \t") for cell in cells] if margin else cells


def _read_parquet(path: Path) -> Columns:
    import pyarrow.parquet  # noqa: PLC0415  half a second that only this kind of table costs

    with pyarrow.parquet.ParquetFile(path) as file:
        columns: Columns = {name: [] for name in file.schema_arrow.names}
        chosen = (_choose(columns, _PATHS), _choose(columns, _LABELS))
        wanted = [name for name in chosen if name is not None]
        columns.update(file.read(columns=wanted, use_threads=False).to_pydict())
    return columns
