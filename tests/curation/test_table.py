"""The table of duplicates is read as it was written, and refused where it cannot be acted on."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from lookalike.curation.duplicates import find_duplicates, write_csv
from lookalike.curation.table import read_listed, read_rows, require_part_of
from lookalike.errors import UsageError
from lookalike.neighbors.index import Index

COLUMNS = ("group", "id", "keep", "score", "width", "height", "bytes", "reason")
ROWS = [
    ("1", "a/1.jpg", "yes", "1.000000", "40", "30", "900", "the largest"),
    ("1", 'a/"2", too.jpg', "no", "0.870000", "20", "15", "300", ""),
    ("7", "b/3.jpg", "yes", "1.000000", "40", "30", "800", "the first by name"),
    ("7", "b/4.jpg", "no", "1.000000", "40", "30", "800", "same file"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as `lookalike duplicates` leaves it."""
    (tmp_path / "duplicates.json").write_text(json.dumps({"threshold": {"value": 0.81}}))
    write(tmp_path, ROWS)
    return tmp_path


def write(folder: Path, rows: list[tuple[str, ...]]) -> None:
    with open(folder / "duplicates.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def changed(row: int, **cells: str) -> list[tuple[str, ...]]:
    rows = [dict(zip(COLUMNS, each, strict=True)) for each in ROWS]
    rows[row] |= cells
    return [tuple(each.values()) for each in rows]


def images(*, width: int = 40, ids: tuple[str, ...] = ()) -> Index:
    """Return an index of the table's images and one more."""
    names = [*(row[1] for row in ROWS), "c/5.jpg"]
    sides = {"width": [width, 20, 40, None, 9], "height": [30, 15, 30, 30, 9]}
    vectors = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    return Index.build(vectors, ids=ids or names, columns=sides)


def test_groups_are_read_as_they_stand(folder):
    found = read_listed(folder)
    assert (found.folder, found.threshold) == (folder, 0.81)
    assert found.digest == hashlib.sha256((folder / "duplicates.csv").read_bytes()).hexdigest()
    assert list(found.groups) == ["1", "7"]
    read = [(name, *each) for name, group in found.groups.items() for each in group]
    for (group, name, keep, score, *sizes, reason), row in zip(read, ROWS, strict=True):
        assert (group, name, reason) == (row[0], row[1], row[7])
        assert (keep, score) == (row[2] == "yes", float(row[3]))
        assert sizes == [int(cell) for cell in row[4:7]]


def test_what_was_found_is_read_back(planted_album, tmp_path):
    found = find_duplicates(planted_album)
    write_csv(found, tmp_path / "duplicates.csv")
    (tmp_path / "duplicates.json").write_text(json.dumps(found.to_json()))
    groups = read_listed(tmp_path).groups
    assert len(groups) >= 24
    for read, group in zip(groups.values(), found.groups, strict=True):
        assert [each.id for each in read] == [found.id_of(each.position) for each in group]
        assert [each.keep for each in read] == [each.keep for each in group]
        assert [each.score for each in read] == pytest.approx([each.score for each in group])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(1, keep="perhaps"), "line 3 of .*: keep is yes or no"),
        (changed(1, id=""), "line 3 of .* has no id"),
        (changed(1, width="wide"), "line 3 of .*: width is a number, got 'wide'"),
        (changed(1, bytes="٣"), "bytes is a number"),
        (changed(1, bytes="9" * 19), "bytes is a number"),
        (changed(1, score="nan"), r"line 3 of .*: score is in \[-1, 1\], got 'nan'"),
        (changed(1, score=""), "score is in"),
        (changed(3, id="b/3.jpg"), "line 5 of .* names b/3.jpg a second time"),
        (changed(2, keep="no"), "keeps no image of group 7"),
    ],
)
def test_a_table_that_cannot_be_is_refused(folder, rows, message):
    write(folder, rows)
    with pytest.raises(UsageError, match=message):
        read_listed(folder)


def test_a_folder_without_table_or_record_is_refused(folder, tmp_path):
    (folder / "duplicates.json").write_text("{}")
    with pytest.raises(UsageError, match=r"duplicates\.json cannot be read"):
        read_listed(folder)
    with pytest.raises(UsageError, match="write it with lookalike duplicates"):
        read_listed(tmp_path / "nowhere")


def test_keep_is_read_whatever_its_case(folder):
    write(folder, changed(1, keep=" YES "))
    kept = [row["keep"] for row in read_rows(folder / "duplicates.csv")]
    assert kept == ["yes", "yes", "yes", "no"]


def test_images_of_another_collection_are_refused(folder):
    found = read_listed(folder)
    found.require_images_of(images().collection)  # a size that nobody knows is no other
    with pytest.raises(UsageError, match=r"about other images: .* has in another size a/1\.jpg"):
        found.require_images_of(images(width=41).collection)
    others = tuple(f"{number}.jpg" for number in range(5))
    with pytest.raises(UsageError, match=r"does not have a/1\.jpg"):
        found.require_images_of(images(ids=others).collection)


def test_images_that_were_removed_are_none_of_the_collection(folder):
    index = images()
    index.remove("c/5.jpg")
    read_listed(folder).require_images_of(index.collection)
    index.remove("b/4.jpg")
    with pytest.raises(UsageError, match=r"does not have b/4\.jpg"):
        read_listed(folder).require_images_of(index.collection)


def test_marks_are_part_of_what_was_found(folder, tmp_path):
    own = folder / "duplicates.csv"
    other = tmp_path / "other"
    other.mkdir()
    write(other, changed(1, keep="yes")[:3])
    require_part_of(other / "duplicates.csv", own)
    for change in (changed(1, group="7"), changed(1, id="c/5.jpg")):
        write(other, change)
        with pytest.raises(UsageError, match="is not made from"):
            require_part_of(other / "duplicates.csv", own)
