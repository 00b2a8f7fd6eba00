"""Lists of pairs: what each format says, against a list written by hand; what is wrong."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from lookalike.data import pairs as module
from lookalike.data.image_set import ImageSet
from lookalike.data.pairs import Pairs, read_pairs
from lookalike.errors import DataError

NAMES = ("Ann_A", "Bob_B", "Cy")
LFW = """2\t2
Ann_A\t1\t2
Bob_B\t1\t3
Ann_A\t1\tBob_B\t1
Bob_B\t2\tCy\t1
Bob_B\t2\t3
Ann_A\t2\t1
Cy\t1\tAnn_A\t2
Cy\t1\tBob_B\t3
"""
LISTED = [
    ("Ann_A/Ann_A_0001", "Ann_A/Ann_A_0002", True, 0),
    ("Bob_B/Bob_B_0001", "Bob_B/Bob_B_0003", True, 0),
    ("Ann_A/Ann_A_0001", "Bob_B/Bob_B_0001", False, 0),
    ("Bob_B/Bob_B_0002", "Cy/Cy_0001", False, 0),
    ("Bob_B/Bob_B_0002", "Bob_B/Bob_B_0003", True, 1),
    ("Ann_A/Ann_A_0002", "Ann_A/Ann_A_0001", True, 1),
    ("Cy/Cy_0001", "Ann_A/Ann_A_0002", False, 1),
    ("Cy/Cy_0001", "Bob_B/Bob_B_0003", False, 1),
]


def named(*ids: str) -> ImageSet:
    return ImageSet("faces", ids, np.full(len(ids), -1), (), None, np.arange(len(ids)))


def faces(top: str = "", suffix: str = ".jpg", *, without: str = "") -> ImageSet:
    """Three images of each person."""
    ids = [f"{top}{name}/{name}_{k:04d}{suffix}" for name in NAMES for k in (1, 2, 3)]
    return named(*(name for name in ids if not without or without not in name))


def told(pairs: Pairs, images: ImageSet) -> list[tuple[str, str, bool, int]]:
    """Return pairs as rows of names without suffix."""
    names = [name.rpartition(".")[0] for name in images.ids]
    columns = (pairs.first, pairs.second, pairs.same, pairs.fold)
    return [(names[a], names[b], same, fold) for a, b, same, fold in zip(*columns, strict=True)]


def write_lfw(folder: Path, text: str = LFW) -> Path:
    (folder / "pairs.txt").write_text(text)
    return folder / "pairs.txt"


def write_table(path: Path, /, **columns: list) -> Path:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    else:
        rows = [columns.keys(), *zip(*columns.values(), strict=True)]
        path.write_text("\n".join(",".join(map(str, row)) for row in rows), encoding="utf-8-sig")
    return path


def test_lfw_lists_what_it_lists(tmp_path: Path) -> None:
    images = faces()
    pairs = read_pairs(write_lfw(tmp_path), images)
    assert told(pairs, images) == LISTED
    assert (pairs.first.dtype, pairs.same.dtype, pairs.fold.dtype) == (np.int64, bool, np.int64)
    assert pairs.skipped == 0


@pytest.mark.parametrize(("top", "suffix"), [("lfw/", ".jpg"), ("", ".png"), ("a/b/", ".jpeg")])
def test_folders_above_and_suffixes_do_not_matter(tmp_path: Path, top: str, suffix: str) -> None:
    straight = read_pairs(write_lfw(tmp_path), faces())
    moved = read_pairs(write_lfw(tmp_path), faces(top, suffix))
    np.testing.assert_array_equal(straight.first, moved.first)
    np.testing.assert_array_equal(straight.second, moved.second)


@pytest.mark.parametrize("change", [("\t", " "), ("\n", "\r\n"), ("2\t2\n", "2 2  \n")])
def test_spaces_and_line_ends_do_not_matter(tmp_path: Path, change: tuple[str, str]) -> None:
    path = tmp_path / "pairs.txt"
    path.write_bytes((LFW.replace(*change) + "\n").encode())
    assert told(read_pairs(path, faces()), faces()) == LISTED


def test_a_header_of_one_number_has_no_folds(tmp_path: Path) -> None:
    text = "2\n" + "\n".join(LFW.splitlines()[1:5])
    pairs = read_pairs(write_lfw(tmp_path, text), faces())
    assert told(pairs, faces()) == [(*row[:3], -1) for row in LISTED[:4]]


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.parquet", "PAIRS.CSV"])
@pytest.mark.parametrize("folds", [True, False])
def test_tables_list_the_same(tmp_path: Path, name: str, folds: bool) -> None:
    images = faces()
    first, second, same, fold = zip(*LISTED, strict=True)
    columns = {
        "note": ["x"] * 8,
        "same": [int(each) for each in same],
        "path_b": [f"{each}.jpg" for each in second],
        "path_a": [f"{each}.jpg" for each in first],
    }
    if folds:
        columns["fold"] = list(fold)
    pairs = read_pairs(write_table(tmp_path / name, **columns), images)
    assert told(pairs, images) == [(*row[:3], row[3] if folds else -1) for row in LISTED]


@pytest.mark.parametrize("same", ["1", "1.0", "True", "yes", " true "])
def test_ways_to_say_yes(tmp_path: Path, same: str) -> None:
    path = write_table(tmp_path / "p.csv", path_a=["a"], path_b=["b"], same=[same])
    assert read_pairs(path, named("a", "b")).same.tolist() == [True]


def test_parquet_may_hold_truths_and_gaps(tmp_path: Path) -> None:
    columns = {"path_a": ["a", "b"], "path_b": ["b", "a"], "same": [True, False]}
    path = write_table(tmp_path / "p.parquet", **columns, fold=[1.0, None])
    pairs = read_pairs(path, named("a", "b"))
    assert pairs.same.tolist() == [True, False]
    assert pairs.fold.tolist() == [1, -1]


def test_missing_images_are_one_line_with_how_many_and_the_first(tmp_path: Path) -> None:
    with pytest.raises(DataError) as found:
        read_pairs(write_lfw(tmp_path), faces(without="Cy"))
    first, second = str(found.value).splitlines()
    assert "3 of the 8 pairs" in first
    assert first.endswith("the first is 'Cy/Cy_0001' on line 5")
    assert "--allow-missing" in second
    with pytest.raises(DataError, match=r"pairs are of, or draw them$"):
        read_pairs(write_lfw(tmp_path), faces(without="Cy"), otherwise="draw them")


def test_pairs_that_are_left_out_are_counted_and_folds_stay(tmp_path: Path) -> None:
    images = faces(without="Ann_A_0001")
    pairs = read_pairs(write_lfw(tmp_path), images, allow_missing=True)
    assert told(pairs, images) == [row for row in LISTED if "Ann_A/Ann_A_0001" not in row]
    assert pairs.skipped == 3
    assert pairs.fold.tolist() == [0, 0, 1, 1, 1]


def test_a_list_of_nothing_but_missing_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="8 of the 8 pairs") as found:
        read_pairs(write_lfw(tmp_path), named("other.jpg"), allow_missing=True)
    assert "--allow-missing" not in str(found.value)  # it is on already


def test_selecting_counts_what_is_lost(tmp_path: Path) -> None:
    pairs = read_pairs(write_lfw(tmp_path), faces())
    kept = pairs.select(np.arange(8) % 4 == 1).select(np.array([True, False]))
    assert (len(kept), kept.skipped) == (1, 7)
    assert told(kept, faces()) == [LISTED[1]]


def change(line: int, text: str) -> str:
    lines = LFW.splitlines()
    lines[line - 1] = text
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: want the numbers of folds and of pairs"),
        (change(1, "path_a,path_b,same"), r"(?s)line 1: .* ends in \.csv"),
        (change(1, "0 2"), "line 1: want"),
        (change(1, "-2 2"), "line 1: want"),
        (change(1, "2 2 2"), "line 1: want"),
        (change(1, "999999999 999999999"), r"1,999,999,996,000,000,002 pairs, and 8 lines follow"),
        (change(1, "9" * 5000), "line 1: want"),
        (change(1, "2 3"), "tells of 12 pairs, and 8 lines follow"),
        (change(3, "Bob_B 1"), "line 3: want 'name number number', of one person, got 'Bob_B 1'"),
        (change(3, "Bob_B 1 Bob_B"), "line 3: want 'name number number'"),
        (change(3, "Bob_B 1 Cy 1"), "line 3: want 'name number number'"),
        (change(4, "Bob_B 1 2"), "line 4: want 'name number other number'"),
        (change(5, "a 1 b two"), "line 5: want 'name number other number'"),
        (change(5, ""), "line 5: want 'name number other number'"),
        (change(7, "Ann_A 2 2"), "line 7: an image is paired with itself, 'Ann_A/Ann_A_0002'"),
        (change(7, "x" * 10_000), r"line 7: .{1,200}\.\.\.$"),
    ],
)
def test_malformed_lists(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read_pairs(write_lfw(tmp_path, text), faces())


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"path": ["a"], "same": ["1"]}, r"no column path_a or path_b \(it has: path, same\)"),
        ({"path_a": ["a"], "path_b": ["b"], "same": ["2"]}, "row 1: want same to be 1 or 0, got"),
        (
            {"path_a": ["a"] * 2, "path_b": ["b"] * 2, "same": ["0"] * 2, "fold": ["3", "x"]},
            "row 2: want fold to be a whole number from 0 to 99, got 'x'",
        ),
        (
            {"path_a": ["a"], "path_b": ["b"], "same": ["0"], "fold": ["100"]},
            "row 1: want fold to be a whole number from 0 to 99, got '100'",
        ),
        ({"path_a": ["a"], "path_b": ["a"], "same": ["1"]}, "row 1: an image is paired with its"),
        ({"path_a": [], "path_b": [], "same": []}, "lists no pairs"),
        ({"path_a": ["a"], "path_b": ["c"], "same": ["1"]}, "the first is 'c' on row 1"),
    ],
)
def test_malformed_tables(tmp_path: Path, suffix: str, columns: dict, complaint: str) -> None:
    if suffix == ".parquet":
        columns = {
            name: pyarrow.array(values, pyarrow.string()) for name, values in columns.items()
        }
    with pytest.raises(DataError, match=complaint):
        read_pairs(write_table(tmp_path / f"pairs{suffix}", **columns), named("a", "b"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", b"path_a,path_b,same\na,b"),
        ("p.csv", b"path_a,path_b,same\n" + b"x" * 200_000),
        ("p.csv", b""),
        ("p.parquet", b"PAR1 no"),
        ("p.parquet", b""),
        ("pairs.txt", b"\xff\xfe\x00\x01"),
    ],
)
def test_what_is_no_list(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError):
        read_pairs(tmp_path / name, named("a", "b"))


def test_a_path_may_not_be_empty(tmp_path: Path) -> None:
    columns = {"path_a": ["a", None], "path_b": ["b", "b"], "same": [1, 1]}
    with pytest.raises(DataError, match="1 rows have an empty path"):
        read_pairs(write_table(tmp_path / "p.parquet", **columns), named("a", "b"))


@pytest.mark.parametrize("name", ["gone.txt", "gone.csv", "gone.parquet", ".", ".parquet"])
def test_there_must_be_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / ".parquet").mkdir()
    with pytest.raises(DataError):
        read_pairs(tmp_path / name, named("a", "b"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_there_is_a_most_of_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    columns = {"path_a": ["a"] * 9, "path_b": ["b"] * 9, "same": [1] * 9}
    path = write_table(tmp_path / f"p{suffix}", **columns)
    monkeypatch.setattr(module, "MAX_PAIRS", 9)
    assert len(read_pairs(path, named("a", "b"))) == 9
    monkeypatch.setattr(module, "MAX_PAIRS", 8)
    with pytest.raises(DataError, match="pairs"):
        read_pairs(path, named("a", "b"))


def test_a_small_file_may_not_unpack_to_a_large_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"path_a": ["a" * 100_000], "path_b": ["b"], "same": [1]}
    path = write_table(tmp_path / "p.parquet", **columns)
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 50_000)
    assert path.stat().st_size < 50_000
    with pytest.raises(DataError, match="want at most"):
        read_pairs(path, named("a", "b"))


def test_names_that_could_be_two_images_are_refused(tmp_path: Path) -> None:
    images = named(*faces().ids, "again/Cy/Cy_0001.jpg")
    with pytest.raises(DataError, match="names 'Cy/Cy_0001', and faces has several images"):
        read_pairs(write_lfw(tmp_path), images)
    others = named(*faces().ids, "again/Cy/Cy_0003.jpg")  # nobody asks for this one
    assert told(read_pairs(write_lfw(tmp_path), others), others) == LISTED


@pytest.mark.parametrize(("there", "listed"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_names_are_found_in_either_unicode_form(tmp_path: Path, there: str, listed: str) -> None:
    names = ("caf\u00e9.jpg", "tea.jpg")
    images = named(*(unicodedata.normalize(there, name) for name in names))
    asked = [unicodedata.normalize(listed, name) for name in names]
    table = write_table(tmp_path / "p.csv", path_a=asked[:1], path_b=asked[1:], same=[1])
    pairs = read_pairs(table, images)
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [1])


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"path_a,path_b,same\ncaf\xe9.jpg,b,1\n")
    assert read_pairs(tmp_path / "p.csv", named("b", "caf\\xe9.jpg")).first.tolist() == [1]
