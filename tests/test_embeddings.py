"""Embeddings keep their parts in step, and come back from a file as they went, without pickle."""

import numpy as np
import pytest

from lookalike.embeddings import Embeddings


def three(**changes):
    parts = {
        "vectors": np.arange(6, dtype=np.float32).reshape(3, 2),
        "ids": ("a/1.jpg", "b/é.jpg", "b/3.jpg"),
        "labels": np.array([0, 1, -1]),
        "class_names": ("a", "b"),
    }
    return Embeddings(**{**parts, **changes})


def test_a_file_gives_back_what_was_written(tmp_path):
    three().save(tmp_path / "some.npz")
    again = Embeddings.load(tmp_path / "some.npz")
    assert (again.ids, again.class_names) == (three().ids, three().class_names)
    np.testing.assert_array_equal(again.vectors, three().vectors)
    np.testing.assert_array_equal(again.labels, three().labels)
    assert again.vectors.dtype == np.float32
    assert again.labels.dtype == np.int64


def test_selected_rows_keep_their_names_and_labels():
    chosen = three().select([2, 0, 0])
    assert chosen.ids == ("b/3.jpg", "a/1.jpg", "a/1.jpg")
    assert chosen.labels.tolist() == [-1, 0, 0]
    np.testing.assert_array_equal(chosen.vectors, [[4, 5], [0, 1], [0, 1]])
    assert len(three().select([])) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": np.zeros((3, 2))}, "must be a float32 matrix, got float64"),
        ({"vectors": np.zeros(3, np.float32)}, r"must be a float32 matrix, got float32 \(3,\)"),
        ({"ids": ("a", "b")}, "3 vectors need as many ids and labels, got 2"),
        ({"labels": np.zeros((3, 1), np.int64)}, r"got 3 and \(3, 1\)"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        three(**changes)


def test_what_is_no_embeddings_file_is_refused(tmp_path):
    (tmp_path / "words.npz").write_bytes(b"not a zip")
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    pickled = np.array([{"run": "me"}], dtype=object)
    np.savez(tmp_path / "pickled.npz", vectors=pickled, ids=pickled, labels=pickled)
    for name in ("words", "other", "pickled", "missing"):
        with pytest.raises(ValueError, match=f"{name}.npz is no embeddings file"):
            Embeddings.load(tmp_path / f"{name}.npz")


def test_printed_they_are_one_line():
    assert repr(three()) == f"Embeddings(3 images, {three().vectors.shape[1]} wide)"
