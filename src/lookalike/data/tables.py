"""Images named by a CSV or Parquet table with a column `path` and, if wanted, `label`.

A table is its owner's word: its paths may lead anywhere, beside the table or above it. But only
plain files are read; what is missing, or is a folder, pipe or device, is listed as unreadable.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lookalike.data.folders import FileReader
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
    if "path" not in columns:
        raise DataError(
            f"{path} has no column `path` (it has: {', '.join(columns) or 'none'})\n"
            "fix: call the column of files `path`, and the one of classes, if any, `label`"
        )
    paths = tuple("" if value is None else str(value) for value in columns["path"])
    ids = tuple(
        as_unicode(name) or f"row {number}, which has no path"
        for number, name in enumerate(paths, start=1)
    )
    classes = columns.get("label", [None] * len(paths))
    return Part(ids, classes, FileReader(path.absolute().parent, paths))


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
    return {name: values for name, values in columns.items() if name not in {"path", "label", ""}}


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
    return columns


def _read_parquet(path: Path) -> Columns:
    import pyarrow.parquet  # noqa: PLC0415  half a second that only this kind of table costs

    with pyarrow.parquet.ParquetFile(path) as file:
        columns: Columns = {name: [] for name in file.schema_arrow.names}
        wanted = [name for name in ("path", "label") if name in columns]
        columns.update(file.read(columns=wanted, use_threads=False).to_pydict())
    return columns
