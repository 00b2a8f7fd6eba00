"""The sets that have a name."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lookalike.data import known
from lookalike.data.decode import decode
from lookalike.data.known import KNOWN, KnownSource
from lookalike.data.sources import open_source
from lookalike.errors import UsageError

FILES = Path(known.__file__).parent / "files"


def test_hands_are_split_by_photo_number() -> None:
    train, test = open_source("hands"), open_source("hands/test")
    assert (len(train), len(test), train.ignored) == (1546, 516, ())
    assert train.class_names == test.class_names == tuple("0123456789")
    with zipfile.ZipFile(FILES / "hands.zip") as archive:
        for images, split in ((train, "train"), (test, "test")):
            for place in range(0, len(images), 97):
                top, digit, name = images.ids[place].split("/")
                assert (top, digit) == (split, images.class_names[images.labels[place]])
                assert (int(name[4:8]) < 5469) == (split == "train")
                assert images.read(place) == archive.read(images.ids[place])
    assert decode(test.read(0)).shape == (64, 64, 3)


def test_omniglot_keeps_alphabets_apart() -> None:
    train, test = open_source("omniglot"), open_source("omniglot", split="test")
    assert (len(train), len(test)) == (136 * 20, 106 * 20)
    alphabets = [{name.split("/")[0] for name in images.ids} for images in (train, test)]
    assert not alphabets[0] & alphabets[1]
    assert len(set(train.ids) | set(test.ids)) == 4840
    for images in (train, test):
        assert set(np.bincount(images.labels)) == {0, 20}
        for place in range(0, len(images), 531):
            name = images.class_names[images.labels[place]]
            assert images.ids[place].rpartition("/")[0] == name


def test_omniglot_is_black_ink_on_white() -> None:
    images = open_source("omniglot/test")
    with np.load(FILES / "omniglot.npz") as table:
        rows = np.flatnonzero(table["class_is_test"][table["labels"]])
        packed = table["packed"]
    for place in (0, 1, 1000, 2119):
        drawing = images.read(place)
        assert drawing.shape == (105, 105)
        ink = np.packbits((drawing == 0).ravel())
        np.testing.assert_array_equal(ink, packed[rows[place]])
        assert set(np.unique(drawing)) == {0, 255}
        assert (drawing == 255).mean() > 0.8


def test_the_licences_ship_with_the_images() -> None:
    hands, omniglot = (FILES / f"LICENSE-{name}" for name in ("hands", "omniglot"))
    assert "Apache License" in hands.read_text()
    assert "Copyright 2017 Arda Mavi" in hands.read_text()
    assert "resized" in hands.read_text()
    assert "Copyright (c) 2015 Brenden Lake" in omniglot.read_text()
    assert "MIT License" in omniglot.read_text()


@pytest.mark.parametrize("name", [name for name, known in KNOWN.items() if known.megabytes])
def test_nothing_is_downloaded_unasked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lookalike.data.downloads", None)  # importing it would fail
    monkeypatch.setenv("LOOKALIKE_DATA", str(tmp_path))
    with pytest.raises(UsageError) as told:
        open_source(name)
    message = str(told.value)
    assert f"{name} is not in {tmp_path / name}" in message
    assert f"{KNOWN[name].megabytes:,} MB to download; terms: {KNOWN[name].terms}" in message
    assert KNOWN[name].page in message
    assert "\nfix: add --download" in message
    assert not list(tmp_path.iterdir())


def test_size_and_terms_are_said_before_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = []

    def fetch(name: str, folder: Path, files: dict[str, Path]) -> None:
        events.append(f"fetch {name}")
        folder.mkdir()
        for path in files.values():
            np.savez(path, images=np.zeros((2, 3, 3), np.uint8), labels=[0, 1])

    downloads = ModuleType("downloads")
    downloads.fetch = fetch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lookalike.data.downloads", downloads)
    source = KnownSource("mnist", download=True, root=tmp_path, announce=events.append)
    assert len(source.open("test")) == 2
    assert len(source.open("train")) == 2
    assert len(events) == 2, "what is there is not fetched again"
    assert "70,000 images, 12 MB to download; terms: CC BY-SA 3.0" in events[0]
    assert events[1] == "fetch mnist"


def test_a_folder_of_arrays_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_DATA", str(tmp_path))
    (tmp_path / "cifar10").mkdir()
    for split, count in (("train", 5), ("test", 2)):
        np.savez(
            tmp_path / "cifar10" / f"{split}.npz",
            images=np.zeros((count, 32, 32, 3), np.uint8),
            labels=np.arange(count),
        )
    assert len(open_source("cifar10")) == 5
    assert len(open_source("cifar10/test")) == 2
