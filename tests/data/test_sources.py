"""What a source may be, and what is said where it is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lookalike.data import folders
from lookalike.data.sources import open_source, splits
from lookalike.errors import DataError, UsageError

PIXELS = np.zeros((3, 2, 2), np.uint8)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a source of each kind."""
    for path in ("flat/1.jpg", "split/train/a/1.jpg", "split/train/b/2.jpg", "split/test/b/3.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"...")
    (tmp_path / "arrays").mkdir()
    np.savez(tmp_path / "arrays" / "train.npz", images=PIXELS, labels=[1, 2, 3])
    np.savez(tmp_path / "arrays" / "test.npz", images=PIXELS, labels=[3, 4, 3])
    np.savez(tmp_path / "single.npz", images=PIXELS)
    (tmp_path / "table.csv").write_text("path\nflat/1.jpg\n")
    monkeypatch.chdir(tmp_path)
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-c", "split.zip", "split/train", "split/test"],
        check=True,
    )
    subprocess.run([sys.executable, "-m", "tarfile", "-c", "flat.tar.gz", "flat"], check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "name", "split", "count", "found"),
    [
        ("flat", "flat", None, 1, ()),
        ("flat/", "flat", None, 1, ()),
        ("split", "split", "train", 2, ("train", "test")),
        ("split/test", "split", "test", 1, ()),
        ("split.zip", "split", "train", 2, ("train", "test")),
        ("split.zip/test", "split", "test", 1, ()),
        ("flat.tar.gz", "flat", None, 1, ()),
        ("arrays", "arrays", "train", 3, ("train", "test")),
        ("arrays/test", "arrays", "test", 3, ()),
        ("arrays/test.npz", "arrays", "test", 3, ()),
        ("single.npz", "single", None, 3, ()),
        ("table.csv", "table", None, 1, ()),
        ("hands", "hands", "train", 1546, ("train", "test")),
        ("omniglot/test", "omniglot", "test", 2120, ()),
    ],
)
@pytest.mark.usefixtures("place")
def test_every_kind_of_source(
    spec: str, name: str, split: str | None, count: int, found: tuple[str, ...]
) -> None:
    images = open_source(spec)
    assert (images.name, images.split, len(images)) == (name, split, count)
    assert splits(spec) == found
    assert open_source(spec, split=split).ids == images.ids


@pytest.mark.parametrize("spec", ["split/test", "split.zip/test", "arrays/test.npz", "arrays/test"])
def test_a_split_is_numbered_with_its_siblings(place: Path, spec: str) -> None:
    parent = open_source(spec.rpartition("/")[0])
    images = open_source(place / spec)
    assert images.class_names == parent.class_names
    assert {images.class_names[label] for label in images.labels} <= {"b", "3", "4"}


def test_a_folder_called_test_is_not_always_a_split(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "test").mkdir()
    (place / "test" / "1.jpg").write_bytes(b"...")
    listed = []
    real = folders.os.scandir
    monkeypatch.setattr(folders.os, "scandir", lambda path: listed.append(path) or real(path))
    assert open_source("test").ids == ("1.jpg",)
    assert {Path(path).name for path in listed} <= {"test"}, "its parent was not searched"


@pytest.mark.usefixtures("place")
def test_a_path_that_exists_is_a_path() -> None:
    Path("hands").mkdir()
    Path("hands/1.jpg").write_bytes(b"...")
    assert open_source("hands").ids == ("1.jpg",)
    assert len(open_source("omniglot")) == 2720


def test_home_is_understood(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place))
    assert len(open_source("~/flat")) == 1


@pytest.mark.parametrize(
    ("spec", "split", "told"),
    [
        ("nowhere", None, r"nowhere does not exist\nfix: give a folder.*hands, omniglot, cifar10"),
        ("nowhere/test", None, "nowhere/test does not exist"),
        ("cifar", None, "did you mean cifar10?"),
        ("single.npz/1", None, "does not exist"),
        ("flat", "test", r"flat has no split 'test'\nfix: leave the split out"),
        ("split", "val", r"split has no split 'val'\nfix: choose train or test"),
        ("split/test", "train", "is the split 'test'"),
        ("hands", "val", "hands has no split 'val'"),
        ("hands/val", None, "hands has no split 'val'"),
        ("flat/1.jpg", None, r"is one image\nfix: give the folder"),
        ("readme", None, r"is no source of images\nfix: give a folder"),
        ("pipe", None, "neither a file nor a folder"),
        ("x" * 5000, None, "cannot be opened: File name too long"),
        ("a\0b", None, "does not exist"),
    ],
)
def test_what_is_no_source(place: Path, spec: str, split: str | None, told: str) -> None:
    (place / "readme").write_text("...")
    folders.os.mkfifo(place / "pipe")
    with pytest.raises(UsageError, match=told):
        open_source(spec, split=split)


def test_an_empty_folder_holds_no_images(place: Path) -> None:
    (place / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images in empty .* in 1 folder; found none"):
        open_source("empty")


def test_torch_is_not_wanted_for_any_of_this() -> None:
    script = (
        "import sys; from lookalike.data.sources import open_source; "
        "from lookalike.data.quarantine import survey; open_source('hands'); "
        "print(sorted({'torch', 'torchvision', 'pyarrow', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("training", "testing")])
def test_splits_are_found_in_any_spelling(tmp_path: Path, train: str, test: str) -> None:
    for name in (f"{train}/a/1.jpg", f"{train}/b/2.jpg", f"{test}/b/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"...")
    assert splits(tmp_path) == ("train", "test")
    for spec in (tmp_path / test, tmp_path / "test"):
        images = open_source(spec)
        assert (images.ids, images.split) == ((f"{test}/b/3.jpg",), "test")
        assert images.class_names == ("a", "b")
