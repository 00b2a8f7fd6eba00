"""Tables of paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from lookalike.data.decode import UnreadableImage
from lookalike.data.image_set import ImageSet
from lookalike.data.split_files import SplitFiles
from lookalike.data.tables import read_table
from lookalike.errors import DataError


def opened(path: Path) -> ImageSet:
    return SplitFiles("there", "set", {"": path}, read_table).open(None)


def write(path: Path, columns: dict[str, list[Any]]) -> ImageSet:
    """Write a table and open it; None is an empty cell."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    else:
        rows = [columns.keys(), *zip(*columns.values(), strict=True)]
        cells = (",".join("" if cell is None else str(cell) for cell in row) for row in rows)
        path.write_text("\n".join(cells), encoding="utf-8-sig")  # as spreadsheets write it
    return opened(path)


@pytest.mark.parametrize("name", ["sub/t.csv", "sub/t.parquet"])
def test_paths_begin_at_the_table_and_keep_its_order(tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    paths = ["z.png", "a.weird", "../up.jpg", str(tmp_path / "absolute")]
    for path in paths:
        (tmp_path / "sub" / path).write_text(path)
    columns = {"size": [1, 2, 3, 4], "path": paths, "label": ["b", "a", None, "b"]}
    images = write(tmp_path / name, columns)
    assert images.ids == tuple(paths)
    assert images.class_names == ("a", "b")
    assert images.labels.tolist() == [1, 0, -1, 1]
    assert [images.read(place).decode() for place in range(4)] == paths


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_labels_may_be_numbers_with_gaps(tmp_path: Path, name: str) -> None:
    images = write(tmp_path / name, {"path": ["a", "b", "c"], "label": [10.0, None, 9.0]})
    assert images.labels.tolist()[1] == -1
    assert len(images.class_names) == 2


def test_without_labels_nothing_is_known(tmp_path: Path) -> None:
    assert write(tmp_path / "t.csv", {"path": ["a", "b"]}).labels.tolist() == [-1, -1]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_what_is_missing_is_unreadable(tmp_path: Path, name: str) -> None:
    images = write(tmp_path / name, {"path": ["gone.jpg", None, "."], "label": [1, 1, 1]})
    assert images.ids == ("gone.jpg", "row 2, which has no path", ".")
    for place in range(3):
        with pytest.raises(UnreadableImage):
            images.read(place)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_needs_a_column_of_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"no column `path` \(it has: file, label\)\nfix: "):
        write(tmp_path / name, {"file": ["a"], "label": [1]})
    with pytest.raises(DataError, match="no images in"):
        write(tmp_path / name, {"path": []})


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.jpg", "wb") as file:
        file.write(b"bytes")
    (tmp_path / "t.csv").write_bytes(b"path\ncaf\xe9.jpg\n")
    images = opened(tmp_path / "t.csv")
    assert images.ids == ("caf\\xe9.jpg",)
    assert images.read(0) == b"bytes"


def test_quoted_names_may_hold_anything(tmp_path: Path) -> None:
    name = 'a,"b"\nc.jpg'
    (tmp_path / name).write_text("bytes")
    (tmp_path / "t.csv").write_text('label,path\n1,"a,""b""\nc.jpg"\n')
    images = opened(tmp_path / "t.csv")
    assert images.ids == (name,)
    assert images.read(0) == b"bytes"


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.parquet", b"PAR1 no"), ("t.parquet", b""), ("t.csv", b"path\n" + b"x" * 200_000)],
)
def test_what_is_no_table(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as a table"):
        opened(tmp_path / name)


def test_an_empty_csv_file_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(DataError, match="it has: none"):
        opened(tmp_path / "t.csv")
