"""Downloads become arrays and tables; the network is never touched here."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest

from lookalike.data.known import KnownSource
from lookalike.errors import LookalikeError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from lookalike.data import downloads  # torchvision takes seconds: not while tests are collected

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr(downloads, "download_url", lambda *_: None)
    monkeypatch.setattr("urllib.request.urlopen", refuse)


def source(name: str, root: Path) -> KnownSource:
    return KnownSource(name, download=True, root=root, announce=lambda _: None)


def write_cifar(folder: Path, contents: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name, content in contents.items():
            raw = pickle.dumps(content, protocol=3)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))


def test_cifar_is_read_without_unpickling_anything_but_arrays(tmp_path: Path) -> None:
    planes = RNG.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
    labels = [3, 1, 2, 0, 3, 1, 2, 0, 3, 1, 2, 0]
    parts = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    contents: dict[str, Any] = {"batches.meta": {"label_names": ["ant", "bee", "cat", "dog"]}}
    for turn, name in enumerate(parts):
        rows = slice(2 * turn, 2 * turn + 2)
        contents[name] = {"data": planes[rows].reshape(2, -1), "labels": labels[rows]}
    write_cifar(tmp_path / "cifar10", contents)
    train, test = source("cifar10", tmp_path).open(None), source("cifar10", tmp_path).open("test")
    assert (len(train), len(test)) == (10, 2)
    assert train.class_names == ("ant", "bee", "cat", "dog")
    assert train.labels.tolist() + test.labels.tolist() == labels
    for place in range(10):
        for plane in range(3):
            np.testing.assert_array_equal(train.read(place)[:, :, plane], planes[place, plane])


def test_an_evil_archive_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    write_cifar(tmp_path / "cifar10", {"data_batch_1": {"data": Evil(), "labels": []}})
    with pytest.raises(LookalikeError, match="system has no place in a file of arrays"):
        source("cifar10", tmp_path).open(None)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "cifar-10-python.tar.gz",
        "cifar10",
    ]


def idx(array: np.ndarray) -> bytes:
    """Return an array in the format of MNIST's own page."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_mnist_is_what_torchvision_reads(tmp_path: Path) -> None:
    raw = tmp_path / "fashion-mnist" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    images = RNG.integers(0, 256, (6, 28, 28), dtype=np.uint8)
    labels = np.array([0, 9, 4, 0, 9, 4], np.uint8)
    for stem, rows in (("train", slice(4)), ("t10k", slice(4, 6))):
        (raw / f"{stem}-images-idx3-ubyte").write_bytes(idx(images[rows]))
        (raw / f"{stem}-labels-idx1-ubyte").write_bytes(idx(labels[rows]))
    train = source("fashion-mnist", tmp_path).open(None)
    names = [train.class_names[label] for label in train.labels]
    assert names == ["T-shirt/top", "Ankle boot", "Coat", "T-shirt/top"]
    np.testing.assert_array_equal(train.read(1), images[1])
    assert len(source("fashion-mnist", tmp_path).open("test")) == 2


def test_eurosat_stays_the_files_it_is(tmp_path: Path) -> None:
    for name in ("River/1.jpg", "Forest/2.jpg"):
        path = tmp_path / "eurosat" / "eurosat" / "2750" / name
        path.parent.mkdir(parents=True)
        path.write_text(name)
    images = source("eurosat", tmp_path).open(None)
    assert images.class_names == ("Forest", "River")
    assert [images.read(place) for place in range(2)] == [b"Forest/2.jpg", b"River/1.jpg"]


def test_pets_are_named_by_their_breed(tmp_path: Path) -> None:
    base = tmp_path / "oxford-pets" / "oxford-iiit-pet"
    for name in ("images", "annotations"):
        (base / name).mkdir(parents=True)
    (base / "images" / "basset_hound_7.jpg").write_text("woof")
    (base / "annotations" / "trainval.txt").write_text("basset_hound_7 2 2 1\nSphynx_1 1 1 1\n")
    (base / "annotations" / "test.txt").write_text("Sphynx_2 1 1 1\n")
    images = source("oxford-pets", tmp_path).open(None)
    assert images.class_names == ("Sphynx", "basset_hound")
    assert images.labels.tolist() == [1, 0]
    assert images.read(0) == b"woof"


def test_a_download_that_fails_leaves_nothing_half_done(tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match=r"mnist could not be downloaded: .*\nfix: "):
        source("mnist", tmp_path).open(None)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
