"""Arrays in .npz files."""

from __future__ import annotations

import io
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.data import arrays
from lookalike.data.arrays import read_arrays
from lookalike.data.image_set import ImageSet
from lookalike.data.split_files import SplitFiles
from lookalike.errors import DataError, UsageError

COLOUR = np.random.default_rng(0).integers(0, 256, (11, 4, 5, 3), dtype=np.uint8)


def opened(path: Path, **contents: Any) -> ImageSet:
    np.savez(path, **contents)
    return SplitFiles("there", "set", {"": path}, read_arrays).open(None)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_images_and_labels(tmp_path: Path, compressed: bool, order: Any) -> None:
    labels = np.arange(11) % 3
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "a.npz", images=np.asarray(COLOUR, order=order), labels=labels)
    images = SplitFiles("there", "set", {"": tmp_path / "a.npz"}, read_arrays).open(None)
    assert images.ids[:2] == ("00", "01")
    assert images.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(images.labels, labels)
    np.testing.assert_array_equal([images.read(place) for place in range(11)], COLOUR)
    again = pickle.loads(pickle.dumps(images))
    np.testing.assert_array_equal(again.read(10), COLOUR[10])


def test_grey_with_and_without_a_last_axis(tmp_path: Path) -> None:
    flat = opened(tmp_path / "a.npz", images=COLOUR[..., 0])
    deep = opened(tmp_path / "b.npz", images=COLOUR[..., :1])
    np.testing.assert_array_equal(flat.read(3), COLOUR[3, :, :, 0])
    np.testing.assert_array_equal(deep.read(3), COLOUR[3, :, :, 0])
    assert flat.labels.tolist() == [-1] * 11


def test_named_classes(tmp_path: Path) -> None:
    names = np.array(["owl", "cat"])
    labels = np.array([0, 1, -1] + [1] * 8)
    images = opened(tmp_path / "a.npz", images=COLOUR, labels=labels, class_names=names)
    assert images.class_names == ("cat", "owl")
    assert images.labels.tolist() == [1, 0, -1] + [0] * 8
    words = opened(tmp_path / "b.npz", images=COLOUR, labels=np.array(["b", "a"] * 5 + [""]))
    assert words.class_names == ("a", "b")
    assert words.labels.tolist() == [1, 0] * 5 + [-1]


def test_splits_are_numbered_together(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", images=COLOUR[:3], labels=[7, 9, 7])
    np.savez(tmp_path / "test.npz", images=COLOUR[3:5], labels=[9, 8])
    files = {split: tmp_path / f"{split}.npz" for split in ("train", "test")}
    source = SplitFiles("there", "set", files, read_arrays)
    assert source.splits() == ("train", "test")
    train, test = source.open(None), source.open("test")
    assert train.class_names == test.class_names == ("7", "8", "9")
    assert train.labels.tolist() == [0, 2, 0]
    assert test.labels.tolist() == [2, 1]
    assert test.ids == ("test/0", "test/1")
    np.testing.assert_array_equal(test.read(1), COLOUR[4])
    with pytest.raises(UsageError, match="there has no split 'val'"):
        source.open("val")


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        ({"pictures": COLOUR}, r"holds no array `images` \(it has: pictures\)"),
        ({"images": COLOUR / 255}, r"must be uint8 .*, got float64 \(11, 4, 5, 3\)"),
        ({"images": COLOUR.transpose(0, 3, 1, 2)}, "must be uint8"),
        ({"images": COLOUR[..., [0, 1, 2, 0]]}, "must be uint8"),
        ({"images": COLOUR[0, 0]}, "must be uint8"),
        ({"images": COLOUR[:, :0]}, "damaged"),
        ({"images": COLOUR[:0]}, "no images in"),
        ({"images": COLOUR, "labels": np.zeros(10, int)}, "labels in .* must be 11 integers"),
        ({"images": COLOUR, "labels": np.zeros((11, 1), int)}, "labels in .* must be 11"),
        ({"images": COLOUR, "labels": np.zeros(11)}, "labels in .* must be 11 .* got float64"),
        ({"images": COLOUR, "labels": np.full(11, 2), "class_names": ["a", "b"]}, "has a label 2"),
        ({"images": COLOUR, "labels": np.zeros(11, int), "class_names": [1, 2]}, "must be names"),
    ],
)
def test_what_is_not_as_it_should_be(tmp_path: Path, contents: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        opened(tmp_path / "a.npz", **contents)


@pytest.mark.parametrize("name", ["images", "labels"])
def test_nothing_is_unpickled(tmp_path: Path, name: str) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    evil = np.array([Evil()] * 11, dtype=object)
    with pytest.raises(DataError):
        opened(tmp_path / "a.npz", **{"images": COLOUR, "labels": np.zeros(11, int), name: evil})
    assert not (tmp_path / "ran").exists()


def test_a_header_must_announce_what_is_there(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**4, 10**4)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", file.getvalue() + b"few")
    with pytest.raises(DataError, match="is not what is there"):
        SplitFiles("there", "set", {"": tmp_path / "a.npz"}, read_arrays).open(None)


def test_arrays_do_not_unpack_to_far_more_than_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((100, 100, 100), np.uint8))
    source = SplitFiles("there", "set", {"": tmp_path / "a.npz"}, read_arrays)
    assert len(source.open(None)) == 100
    monkeypatch.setattr(arrays, "FREE_BYTES", 1000)
    with pytest.raises(DataError, match="more than images do"):
        source.open(None)


@pytest.mark.parametrize(
    ("arrays_of", "told"),
    [
        ({"labels": np.zeros(3 * 10**7, np.int64)}, "labels in .* must be 11 integers or names"),
        ({"labels": np.full(11, "x" * 10**7)}, "labels in .* unpack from .* more than labels do"),
        (
            {"labels": np.zeros(11, np.int64), "class_names": np.zeros(3 * 10**7, "U1")},
            "class_names in .* unpack from .* more than class_names do",
        ),
    ],
)
def test_labels_are_bounded_before_they_take_memory(
    tmp_path: Path, arrays_of: dict[str, Any], told: str
) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=COLOUR, **arrays_of)
    arrays_of.clear()
    source = SplitFiles("there", "set", {"": tmp_path / "a.npz"}, read_arrays)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=told):
            source.open(None)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_more_images_than_bytes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((5000, 1, 1), np.uint8))
    source = SplitFiles("there", "set", {"": tmp_path / "a.npz"}, read_arrays)
    assert len(source.open(None)) == 5000
    monkeypatch.setattr(arrays, "FREE_IMAGES", 1000)
    with pytest.raises(DataError, match=r"are 5,000, in \d+ bytes"):
        source.open(None)


def test_labels_that_compress_well_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "FREE_LABEL_BYTES", 0)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (
            ("images", np.zeros((9999, 2, 2), np.uint8)),
            ("labels", np.ones(9999, int)),
        ):
            with archive.open(f"{name}.npy", "w") as file:
                np.save(file, array)
    source = SplitFiles("there", "set", {"": tmp_path / "a.npz"}, read_arrays)
    assert source.open(None).class_names == ("1",)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more", b"x" * 1000])
def test_what_is_no_npz_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as an \.npz file"):
        SplitFiles("there", "set", {"": tmp_path / "a.npz"}, read_arrays).open(None)
