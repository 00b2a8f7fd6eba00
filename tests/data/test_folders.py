"""Folders of images: what is found, in which order, and what its classes and splits are."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from lookalike.data import folders
from lookalike.data.decode import UnreadableImage
from lookalike.data.folders import list_folder, read_file
from lookalike.errors import DataError, UsageError


def plant(root: Path, paths: Iterable[str]) -> Path:
    """Write files that hold their own paths; nothing is decoded here."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    return root


def labelled(root: Path, split: str | None = None) -> dict[str, str]:
    """Return each image's class by its id, "" where it is unknown."""
    images = list_folder(root).open(split)
    names = (*images.class_names, "")
    return dict(zip(images.ids, (names[label] for label in images.labels), strict=True))


def test_each_id_reads_its_own_file(tmp_path: Path) -> None:
    paths = ["b/z.jpg", "b/a.PNG", "a/deep/er/x.tif", "B/q.webp", "ä.gif", "a b.jpeg"]
    images = list_folder(plant(tmp_path, paths)).open(None)
    assert list(images.ids) == sorted(paths, key=str.encode)
    assert [images.read(place).decode() for place in range(len(images))] == list(images.ids)


def test_the_order_is_not_that_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, [f"{letter}/{number}.jpg" for letter in "cab" for number in (3, 20, 1)])
    (tmp_path / "link").symlink_to(tmp_path / "b")
    forwards = list_folder(tmp_path)

    class Backwards:
        def __init__(self, path: Path) -> None:
            with real(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *_: object) -> None:
            pass

    real = os.scandir
    monkeypatch.setattr(folders.os, "scandir", Backwards)
    backwards = list_folder(tmp_path)
    assert backwards.ids == forwards.ids
    assert backwards.ignored == forwards.ignored


def test_the_first_folder_is_the_class(tmp_path: Path) -> None:
    plant(tmp_path, ["cat/1.jpg", "cat/more/2.jpg", "dog/3.jpg"])
    assert labelled(tmp_path) == {"cat/1.jpg": "cat", "cat/more/2.jpg": "cat", "dog/3.jpg": "dog"}


@pytest.mark.parametrize(
    "paths", [["1.jpg", "2.jpg"], ["cat/1.jpg", "dog/2.jpg", "3.jpg"], ["cat/1.jpg", "cat/2.jpg"]]
)
def test_without_two_class_folders_nothing_is_known(tmp_path: Path, paths: list[str]) -> None:
    assert labelled(plant(tmp_path, paths)) == dict.fromkeys(paths, "")


def test_folders_that_alone_hold_everything_are_looked_through(tmp_path: Path) -> None:
    plant(tmp_path, ["photos/all/cat/1.jpg", "photos/all/dog/2.jpg", "photos/read.me"])
    assert set(labelled(tmp_path).values()) == {"cat", "dog"}


def test_splits_are_numbered_together(tmp_path: Path) -> None:
    plant(tmp_path, ["train/cat/1.jpg", "train/eel/2.jpg", "test/dog/3.jpg", "test/eel/4.jpg"])
    tree = list_folder(tmp_path)
    assert tree.splits() == ("train", "test")
    train, test = tree.open(None), tree.open("test")
    assert (train.split, test.split) == ("train", "test")
    assert train.class_names == test.class_names == ("cat", "dog", "eel")
    assert train.labels.tolist() == [0, 2]
    assert test.labels.tolist() == [1, 2]
    assert test.ids == ("test/dog/3.jpg", "test/eel/4.jpg")
    with pytest.raises(UsageError, match="no split 'val'"):
        tree.open("val")


def test_a_split_without_class_folders_is_unlabelled(tmp_path: Path) -> None:
    plant(tmp_path, ["train/cat/1.jpg", "train/dog/2.jpg", "valid/3.jpg"])
    tree = list_folder(tmp_path)
    assert tree.splits() == ("train", "valid")
    assert tree.open("valid").labels.tolist() == [-1]
    assert tree.open("train").labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    "paths",
    [
        ["train/1.jpg", "other/2.jpg"],
        ["train/1.jpg", "test/2.jpg", "3.jpg"],
        ["train/1.jpg", "test/2.jpg", "extra/3.jpg"],
        ["test/1.jpg", "val/2.jpg"],
    ],
)
def test_other_folders_beside_them_make_no_splits(tmp_path: Path, paths: list[str]) -> None:
    tree = list_folder(plant(tmp_path, paths))
    assert tree.splits() == ()
    assert len(tree.open(None)) == len(paths)


def test_what_is_no_image_is_listed(tmp_path: Path) -> None:
    quiet = ["._1.jpg", ".DS_Store", "Thumbs.db", "__MACOSX/1.jpg", ".git/2.jpg", "Desktop.ini"]
    plant(tmp_path, ["1.jpg", "notes.txt", "labels", *quiet])
    tree = list_folder(tmp_path)
    assert tree.ids == ("1.jpg",)
    reasons = dict(tree.ignored)
    assert reasons.pop("notes.txt") == "not an image by its name (.txt)"
    assert reasons.pop("labels") == "not an image by its name (no suffix)"
    assert set(reasons) == {
        ".git/",
        "__MACOSX/",
        "._1.jpg",
        ".DS_Store",
        "Thumbs.db",
        "Desktop.ini",
    }
    assert set(reasons.values()) == {"hidden, or of the operating system"}


def test_each_split_lists_its_own(tmp_path: Path) -> None:
    plant(tmp_path, ["train/1.jpg", "test/2.jpg", "train/a.txt", "test/b.txt", "read.me"])
    ignored = list_folder(tmp_path).open("test").ignored
    assert {one.id for one in ignored} == {"test/b.txt", "read.me"}


def test_loops_of_links_end(tmp_path: Path) -> None:
    plant(tmp_path, ["a/1.jpg", "b/2.jpg"])
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (tmp_path / "c").symlink_to(tmp_path / "b")
    tree = list_folder(tmp_path)
    assert tree.ids == ("a/1.jpg", "b/2.jpg")
    assert (
        dict(tree.ignored)["a/up/"]
        == dict(tree.ignored)["c/"]
        == ("a link to a folder already read")
    )


def test_linked_images_are_read(tmp_path: Path) -> None:
    plant(tmp_path, ["store/1.bin"])
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "1.jpg").symlink_to(tmp_path / "store" / "1.bin")
    assert list_folder(tmp_path / "set").open(None).read(0) == b"store/1.bin"


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.jpg", "wb") as file:
        file.write(b"bytes")
    images = list_folder(tmp_path).open(None)
    assert images.ids == ("caf\\xe9.jpg",)
    assert images.read(0) == b"bytes"


def test_a_folder_that_may_not_be_listed_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, ["open/1.jpg", "shut/2.jpg"])
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name in ("shut", "root"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(folders.os, "scandir", scandir)  # permissions do not bind root
    tree = list_folder(tmp_path)
    assert tree.ids == ("open/1.jpg",)
    assert dict(tree.ignored) == {"shut/": "cannot be listed: Permission denied"}
    (tmp_path / "root").mkdir()
    with pytest.raises(UsageError, match="cannot be listed: Permission denied"):
        list_folder(tmp_path / "root")


def test_a_folder_without_images_says_what_it_has(tmp_path: Path) -> None:
    plant(tmp_path, ["a/1.psd", "a/2.psd", "b/3.txt", ".hidden.jpg"])
    with pytest.raises(DataError) as told:
        list_folder(tmp_path).open(None)
    assert f"no images in {tmp_path} (looked for .jpg .jpeg .png" in str(told.value)
    assert "in 3 folders; found 2 .psd, 1 .txt)\nfix: " in str(told.value)


def test_formats_that_cannot_be_read_are_not_hidden(tmp_path: Path) -> None:
    images = list_folder(plant(tmp_path, ["1.jpg", "2.heic"])).open(None)
    assert images.ids == ("1.jpg", "2.heic")


@pytest.mark.parametrize("name", ["gone.jpg", "folder", "pipe", "nul\0byte", "dangling"])
def test_what_is_no_plain_file_is_unreadable(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(UnreadableImage) as refused:
        read_file(tmp_path / name)
    assert len(refused.value.reason.splitlines()) == 1


def test_only_the_beginning_of_a_file_if_that_is_enough(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(bytes(range(100)))
    assert read_file(tmp_path / "long", 10) == bytes(range(10))


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "sparse.tif", "wb") as file:
        file.truncate(folders.MAX_FILE_BYTES + 1)  # takes no room on the disk
    with pytest.raises(UnreadableImage, match="larger than 512 MiB"):
        read_file(tmp_path / "sparse.tif")
    with pytest.raises(UnreadableImage, match="not a plain file"):
        read_file("/dev/zero")


def test_many_images_keep_their_places(tmp_path: Path) -> None:
    plant(tmp_path, [f"{number % 3}/{number}.jpg" for number in range(60)])
    images = list_folder(tmp_path).open(None).select(np.arange(59, -1, -7))
    assert [images.read(place).decode() for place in range(len(images))] == list(images.ids)
