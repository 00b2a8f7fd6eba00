"""Tables of paths."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any, Literal

import pyarrow
import pyarrow.parquet
import pytest

from lookalike.data.decode import UnreadableImage
from lookalike.data.image_set import ImageSet
from lookalike.data.split_files import SplitFiles
from lookalike.data.tables import read_columns, read_table
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
    with pytest.raises(DataError, match=r"no column `path` \(it has: photo, label\)\nfix: "):
        write(tmp_path / name, {"photo": ["a"], "label": [1]})
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


UNKNOWN = ["", "nan", "NaN", "None", "null", "-1", "-1.0", "-2", " nan ", "inf", "-inf", "<NA>"]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_what_programs_write_for_no_label_is_none(tmp_path: Path, name: str, unknown: str) -> None:
    images = write(tmp_path / name, {"path": ["a", "b", "c"], "label": ["x", unknown, "y"]})
    assert (images.class_names, images.labels.tolist()) == (("x", "y"), [0, -1, 1])


@pytest.mark.parametrize("label", ["none", "NA", "nano", "-", "1-2", "information", "0", "-x"])
def test_what_only_resembles_no_label_is_one(tmp_path: Path, label: str) -> None:
    images = write(tmp_path / "t.csv", {"path": ["a", "b"], "label": [label, "x"]})
    assert set(images.class_names) == {label, "x"}


@pytest.mark.parametrize("unknown", [-1.0, -7.0, float("nan"), float("inf"), float("-inf"), None])
def test_floats_that_are_no_class_are_unknown(tmp_path: Path, unknown: float | None) -> None:
    columns = {"path": ["a", "b", "c"], "label": [3.0, unknown, 20.0]}
    images = write(tmp_path / "t.parquet", columns)
    assert (images.class_names, images.labels.tolist()) == (("3", "20"), [0, -1, 1])


@pytest.mark.parametrize("label", [[[0], [1]], [["a", "b"], []], [{"a": 1}, {"a": 2}]])
def test_a_label_of_several_values_is_refused(tmp_path: Path, label: list[Any]) -> None:
    with pytest.raises(DataError, match="a label must be one value, got"):
        write(tmp_path / "t.parquet", {"path": ["a", "b"], "label": label})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("file", "label"),
    [
        ("Path", "Label"),
        ("filename", "class"),
        ("FileName", "Category"),
        ("image", "label"),
        ("image_path", "class_name"),
        ("FILE", "CLASS"),
    ],
)
def test_columns_may_have_their_other_usual_names(
    tmp_path: Path, suffix: str, file: str, label: str
) -> None:
    columns = {"year": [1, 2], file: ["b", "a"], label: ["x", "y"], "size": [3, 4]}
    images = write(tmp_path / f"t.{suffix}", columns)
    assert (images.ids, images.class_names) == (("b", "a"), ("x", "y"))
    assert images.remarks == ("columns that tell nothing of classes: year, size",)
    assert set(read_columns(tmp_path / f"t.{suffix}")) == {"year", "size"}


def test_the_usual_name_goes_before_others(tmp_path: Path) -> None:
    columns = {"image": ["x"], "path": ["y"], "class": ["c"], "label": ["l"]}
    images = write(tmp_path / "t.csv", columns)
    assert (images.ids, images.class_names) == (("y",), ("l",))


@pytest.mark.parametrize("comma", [", ", " , ", ",\t", ",  "])
def test_blanks_behind_commas_lose_nothing(tmp_path: Path, comma: str) -> None:
    rows = [("label", "path", "year"), ("x", "a b.jpg", "1"), ("", "c.jpg", "2")]
    (tmp_path / "t.csv").write_text("\n".join(comma.join(row) for row in rows))
    images = opened(tmp_path / "t.csv")
    assert [name.rstrip() for name in images.ids] == ["a b.jpg", "c.jpg"]
    assert (images.class_names, images.labels.tolist()) == (("x",), [0, -1])


def test_a_column_that_holds_no_paths_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column image of .* must hold the paths of files"):
        write(tmp_path / "t.parquet", {"image": [{"bytes": b"1"}], "label": [1]})


FORMS = [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC"), ("NFD", "NFD")]


@pytest.mark.parametrize(
    "text", ["caf\u00e9.jpg", "stra\u00dfe/\u00fcber \u1e69.jpg", "\ud55c\uae00.png"]
)
@pytest.mark.parametrize(("there", "told"), FORMS)
def test_names_are_found_in_either_form(
    tmp_path: Path, text: str, there: Literal["NFC", "NFD"], told: Literal["NFC", "NFD"]
) -> None:
    path = tmp_path / unicodedata.normalize(there, text)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"here")
    name = unicodedata.normalize(told, text)
    images = write(tmp_path / "t.csv", {"path": [name, str(tmp_path / name)]})
    assert [images.read(place) for place in range(2)] == [b"here", b"here"]
    gone = write(tmp_path / "t.csv", {"path": [f"no {name}"]})
    with pytest.raises(UnreadableImage):
        gone.read(0)
