"""Archives are read in place, and hold what the same folder holds."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lookalike.data.archives import list_tar, list_zip
from lookalike.data.folders import list_folder
from lookalike.data.tree import Tree
from lookalike.errors import DataError

CONTENTS = {
    f"photos/{split}/{name}/{number}.jpg": os.urandom(200 + 57 * number)
    for split in ("train", "test")
    for name in ("cat", "dog")
    for number in range(4)
} | {"photos/read.me": b"...", "__MACOSX/photos/train/cat/._1.jpg": b"..."}


def write_zip(path: Path, contents: dict[str, bytes]) -> Tree:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return list_zip(path)


def write_tar(path: Path, contents: dict[str, bytes]) -> Tree:
    mode = {".tar": "w", ".tgz": "w:gz"}.get(path.suffix, f"w:{path.suffix[1:]}")
    with tarfile.open(path, mode) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return list_tar(path)


WRITERS: dict[str, Callable[[Path, dict[str, bytes]], Tree]] = {
    "set.zip": write_zip,
    "set.tar": write_tar,
    "set.tar.gz": write_tar,
    "set.tgz": write_tar,
    "set.tar.bz2": write_tar,
    "set.tar.xz": write_tar,
}


@pytest.mark.parametrize("name", WRITERS)
def test_an_archive_is_the_folder_it_was_made_of(tmp_path: Path, name: str) -> None:
    archive = WRITERS[name](tmp_path / name, CONTENTS)
    for path, content in CONTENTS.items():
        (tmp_path / "folder" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / path).write_bytes(content)
    folder = list_folder(tmp_path / "folder")
    assert archive.splits() == folder.splits() == ("train", "test")
    for split in folder.splits():
        ours, theirs = archive.open(split), folder.open(split)
        assert ours.ids == theirs.ids
        assert ours.class_names == theirs.class_names == ("cat", "dog")
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        for place, name in enumerate(ours.ids):
            assert ours.read(place) == CONTENTS[name]
            assert ours.read(place, 30) == CONTENTS[name][:30]


@pytest.mark.parametrize("name", WRITERS)
def test_another_process_reads_the_same(tmp_path: Path, name: str) -> None:
    images = WRITERS[name](tmp_path / name, CONTENTS).open("test")
    expected = [images.read(place) for place in range(len(images))]
    sent = pickle.dumps(images)
    assert len(sent) < 4000, "no images travel"
    again = pickle.loads(sent)
    assert [again.read(place) for place in range(len(again))] == expected


def test_a_fork_does_not_move_its_parents_file(tmp_path: Path) -> None:
    images = write_zip(tmp_path / "set.zip", CONTENTS).open("train")
    images.read(0)
    reader = images.reader
    archive = reader._opened[1]  # type: ignore[attr-defined]
    reader._opened = (-1, archive)  # type: ignore[attr-defined]  as a forked process finds it
    assert images.read(1) == CONTENTS[images.ids[1]]
    assert reader._opened[1] is not archive  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz"])
def test_many_threads_read_at_once(tmp_path: Path, name: str) -> None:
    images = WRITERS[name](tmp_path / name, CONTENTS).open("train")
    places = list(range(len(images))) * 50
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(images.read, places))
    assert read == [CONTENTS[images.ids[place]] for place in places]


def test_backslashes_separate_folders_too(tmp_path: Path) -> None:
    # Old Windows programs wrote such archives.
    images = write_zip(tmp_path / "a.zip", {"cat\\1.jpg": b"1", "dog\\2.jpg": b"2"}).open(None)
    assert images.ids == ("cat/1.jpg", "dog/2.jpg")
    assert images.class_names == ("cat", "dog")


@pytest.mark.parametrize("name", ["set.zip", "set.tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_members_of_one_name_the_last_stays(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("1.jpg", b"old")
        archive.writestr("1.jpg", b"new")
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for content in (b"old", b"new"):
            member = tarfile.TarInfo("./1.jpg")
            member.size = 3
            tar.addfile(member, io.BytesIO(content))
    tree = list_zip(tmp_path / name) if name.endswith("zip") else list_tar(tmp_path / name)
    assert tree.open(None).read(0) == b"new"
    assert [one.id for one in tree.ignored] == ["1.jpg"]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_damaged_archive_is_said_to_be(tmp_path: Path, name: str, share: float) -> None:
    WRITERS[name](tmp_path / name, CONTENTS)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
    read = list_zip if name.endswith(".zip") else list_tar
    with pytest.raises(DataError, match=r"cannot be read as an archive: .*\nfix: "):
        read(tmp_path / name)


def test_a_damaged_header_is_not_the_end(tmp_path: Path) -> None:
    # Python's tarfile stops there and says nothing; half of the images would be missing.
    write_tar(tmp_path / "set.tar", {f"{number}.jpg": bytes(512) for number in range(4)})
    raw = bytearray((tmp_path / "set.tar").read_bytes())
    raw[2 * 1024 + 3] ^= 1
    (tmp_path / "set.tar").write_bytes(raw)
    with pytest.raises(DataError, match="checksum"):
        list_tar(tmp_path / "set.tar")
