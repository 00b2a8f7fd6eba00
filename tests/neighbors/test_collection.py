"""A collection is read as it was written, and what is damaged in it is named."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from lookalike.errors import DataError, UsageError
from lookalike.neighbors.collection import open_collection
from lookalike.neighbors.writing import remove_rows, write_collection

from .conftest import animals, unit


def test_what_was_written_is_read(collection):
    again = open_collection(collection.path)
    assert np.array_equal(again.vectors, unit(12))
    assert again.table.equals(animals(12))
    assert len(again) == 12
    assert again.record.encoder == "a" * 64
    assert [part.source for part in again.record.parts] == ["somewhere"]
    assert np.array_equal(np.load(collection.path / "vectors.npy"), unit(12)), "numpy reads it too"


def test_half_precision_keeps_eleven_bits(tmp_path):
    made = write_collection(tmp_path / "a", [unit(50)], animals(50), dim=8)
    assert made.vectors.dtype == np.float16
    assert np.abs(made.vectors - unit(50)).max() <= 2.0**-12, "half a step below 1"


def test_embeddings_are_the_images_that_are_left(collection):
    left = remove_rows(collection, np.array([0, 5])).embeddings()
    kept = [row for row in range(12) if row not in (0, 5)]
    assert np.array_equal(left.vectors, unit(12)[kept])
    assert left.ids == tuple(f"{row:03d}.jpg" for row in kept)
    assert left.class_names == ("cat", "dog")
    assert left.labels.tolist() == [(0, 1, -1)[row % 3] for row in kept]


def test_a_collection_without_images_or_classes_is_one_too(tmp_path):
    made = write_collection(tmp_path / "a", [], animals(0).select(["id"]), dim=8)
    assert len(open_collection(made.path)) == 0
    assert made.embeddings().vectors.shape == (0, 8)
    assert made.rows_where({}).tolist() == []


def test_rows_are_found_by_id_and_by_column(collection):
    assert collection.rows_of(["007.jpg", "002.jpg"]).tolist() == [2, 7]
    assert collection.rows_where({"class": "cat"}).tolist() == [0, 3, 6, 9]
    assert collection.rows_where({"class": ["cat", "dog"], "year": "2004"}).tolist() == [4]
    fewer = remove_rows(collection, np.array([3]))
    assert fewer.rows_where({"class": "cat"}).tolist() == [0, 6, 9]
    with pytest.raises(UsageError, match=r"no image '003\.jpg'"):
        fewer.rows_of(["003.jpg"])


def test_unknown_names_are_refused_with_the_nearest(collection):
    with pytest.raises(UsageError, match=r"no image '007\.jpeg'\. Did you mean 007\.jpg\?"):
        collection.rows_of(["007.jpeg"])
    with pytest.raises(UsageError, match=r"no column 'clas'\. Did you mean class\?.*id, class"):
        collection.rows_where({"clas": "cat"})
    with pytest.raises(UsageError, match=r"the column year of .* holds int64"):
        collection.rows_where({"year": "last"})


def test_another_encoder_is_refused(collection):
    collection.require_encoder("a" * 64, what="this query")
    collection.require_encoder(None, what="this query")
    with pytest.raises(UsageError, match=r"this query is of encoder bbbb.* of encoder aaaa"):
        collection.require_encoder("b" * 64, what="this query")


@pytest.mark.parametrize("name", ["vectors.npy", "images.parquet"])
def test_a_flipped_bit_names_its_file(collection, name):
    content = bytearray((collection.path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (collection.path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name} is damaged: .* digest"):
        open_collection(collection.path)


@pytest.mark.parametrize("name", ["vectors.npy", "images.parquet"])
def test_a_missing_or_cut_file_is_named(collection, name):
    content = (collection.path / name).read_bytes()
    (collection.path / name).write_bytes(content[:-5])
    with pytest.raises(DataError, match=f"{name} is damaged"):
        open_collection(collection.path)
    (collection.path / name).unlink()
    with pytest.raises(DataError, match=f"{name} is damaged: .*No such file"):
        open_collection(collection.path)


class Trap:
    """Says so if it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


def test_pickles_are_refused_unread(collection):
    path = collection.path / "vectors.npy"
    np.save(path, np.array([[Trap()] * 8] * 12, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"vectors\.npy is damaged: it holds object"):
        open_collection(collection.path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match=r"vectors\.npy is damaged"):
        open_collection(collection.path)


def test_vectors_of_another_kind_or_width_are_refused(collection):
    path = collection.path / "vectors.npy"
    np.save(path, unit(12).astype(np.float64))
    with pytest.raises(DataError, match=r"it holds float64, and collection\.json says float32"):
        open_collection(collection.path)
    np.save(path, unit(12, 9))
    with pytest.raises(DataError, match="rows have the shape"):
        open_collection(collection.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.update(version=9), "version 9, and this lookalike reads"),
        (lambda record: record.update(format="soup"), "'soup'"),
        (lambda record: record.update(removed=[99]), "cannot be read"),
        (lambda record: record.update(surprise=1), "cannot be read"),
        (lambda record: record.pop("dim"), "cannot be read"),
        (lambda record: record["parts"][0].update(table="../other.parquet"), "lie elsewhere"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(collection, change, message):
    path = collection.path / "collection.json"
    record = json.loads(path.read_bytes())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(UsageError, match=message):
        open_collection(collection.path)
    path.write_text("[]")
    with pytest.raises(UsageError, match="cannot be read"):
        open_collection(collection.path)


def test_a_folder_that_is_none_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"is no collection: .*\n.*lookalike embed"):
        open_collection(tmp_path)
    (tmp_path / "parts").mkdir()
    with pytest.raises(UsageError, match="is no collection yet"):
        open_collection(tmp_path)
