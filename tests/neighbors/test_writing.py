"""Rows are appended and passed over, never rewritten; a crash or a full disk changes nothing."""

from __future__ import annotations

import errno
import fcntl
import os

import numpy as np
import pyarrow
import pytest

from lookalike.data.image_set import Unreadable
from lookalike.errors import LookalikeError, UsageError
from lookalike.neighbors import writing
from lookalike.neighbors.collection import open_collection
from lookalike.neighbors.writing import append_rows, remove_rows, write_collection

from .conftest import animals, unit


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_same_images_give_the_same_bytes(tmp_path):
    for name, cut in (("a", 3), ("b", 9)):
        blocks = [unit(12)[:cut], unit(12)[cut:]]
        write_collection(tmp_path / name, blocks, animals(12), dim=8)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_nothing_is_overwritten(collection):
    with pytest.raises(UsageError, match="is a collection already"):
        write_collection(collection.path, [], animals(0), dim=8)


def test_added_rows_follow_those_that_are_there(collection):
    before = contents(collection.path)
    more = unit(5, seed=1)
    grown = append_rows(collection, [more], animals(5, first=12), source="elsewhere")
    grown = append_rows(grown, [more[:1]], pyarrow.table({"id": ["z"]}))
    again = open_collection(collection.path)
    assert np.array_equal(again.vectors, np.concatenate([unit(12), more, more[:1]]))
    assert again.table.equals(grown.table)
    assert again.table.slice(0, 17).equals(animals(17))
    assert again.table.column("class")[17].as_py() is None, "a column that was not given"
    assert [part.source for part in again.record.parts] == ["somewhere", "elsewhere", None]
    assert contents(collection.path)["images.parquet"] == before["images.parquet"]
    assert np.array_equal(np.load(collection.path / "vectors.npy"), again.vectors)
    assert np.array_equal(collection.vectors, unit(12)), "who reads meanwhile sees the old rows"


def test_an_addition_that_was_cut_leaves_no_trace(collection, monkeypatch):
    def cut(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write_part", cut)
        with pytest.raises(KeyboardInterrupt):
            append_rows(collection, [unit(5, seed=1)], animals(5, first=12))
    again = open_collection(collection.path)
    assert np.array_equal(again.vectors, unit(12))
    grown = append_rows(again, [unit(3, seed=2)], animals(3, first=12))
    assert np.array_equal(open_collection(grown.path).vectors[12:], unit(3, seed=2))
    assert np.load(collection.path / "vectors.npy").shape == (15, 8)


def test_removed_rows_are_passed_over(collection):
    before = (collection.path / "vectors.npy").read_bytes()
    fewer = remove_rows(remove_rows(collection, np.array([4, 2])), np.array([2, 11]))
    assert fewer.record.removed == (2, 4, 11)
    assert len(fewer) == 9
    assert (collection.path / "vectors.npy").read_bytes() == before


@pytest.mark.parametrize(
    ("blocks", "table", "message"),
    [
        ([unit(3)], animals(2), "3 vectors need as many rows in the table, got 2"),
        ([unit(2, 9)], animals(2), r"must have the shape \(n, 8\), got \(2, 9\)"),
        ([np.full((2, 8), np.nan)], animals(2), "must be finite"),
        ([unit(2)], pyarrow.table({"id": [1, 2]}), "column `id` must be text"),
        ([unit(2)], pyarrow.table({"id": ["a", None]}), "column `id` must be text"),
    ],
)
def test_refuses_what_is_no_collection(tmp_path, collection, blocks, table, message):
    with pytest.raises(ValueError, match=message):
        write_collection(tmp_path / "new", blocks, table, dim=8)
    assert not (tmp_path / "new/collection.json").exists()
    if table.schema.field("id").type == pyarrow.string():  # else another message, tested below
        with pytest.raises(ValueError, match=message):
            append_rows(collection, blocks, table)
    assert len(open_collection(collection.path)) == 12


def test_refuses_additions_of_another_kind(collection):
    with pytest.raises(UsageError, match="is of encoder bbbb"):
        append_rows(collection, [unit(1)], animals(1), encoder="b" * 64)
    odd = pyarrow.table({"id": ["x"], "year": ["last"]})
    with pytest.raises(UsageError, match=r"the column year of .* holds int64"):
        append_rows(collection, [unit(1)], odd)


def test_unreadable_images_are_listed(tmp_path):
    listed = [Unreadable("a,b.jpg", "cut short")]
    made = write_collection(tmp_path / "a", [unit(2)], animals(2), dim=8, unreadable=listed)
    append_rows(made, [], animals(0), unreadable=[Unreadable("\udcff.jpg", "empty")])
    text = (made.path / "unreadable.csv").read_text().splitlines()
    assert text == ["id,reason", '"a,b.jpg",cut short', "\\udcff.jpg,empty"]
    assert [part.unreadable for part in open_collection(made.path).record.parts] == [1, 1]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_what_was_there(tmp_path, collection, monkeypatch, number):
    def full(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LookalikeError, match=r"no space left to write .*vectors\.npy"):
        write_collection(tmp_path / "new", [unit(2)], animals(2), dim=8)
    assert os.listdir(tmp_path / "new") == []
    with pytest.raises(LookalikeError, match="no space left"):
        append_rows(collection, [unit(2)], animals(2))
    with pytest.raises(LookalikeError, match="no space left"):
        remove_rows(collection, np.array([1]))
    assert np.array_equal(open_collection(collection.path).vectors, unit(12))


def test_two_processes_do_not_change_one_collection(collection):
    descriptor = os.open(collection.path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(LookalikeError, match="another process changes"):
        remove_rows(collection, np.array([1]))
    os.close(descriptor)
    assert len(remove_rows(collection, np.array([1]))) == 11
