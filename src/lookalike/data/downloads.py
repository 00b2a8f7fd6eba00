"""Downloads by torchvision's own downloaders, turned into plain arrays and tables.

torchvision reads CIFAR by unpickling it. Here its archive, once its checksum is right, is read by
an unpickler that knows arrays and nothing else.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import os
import pickle
import sys
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

import numpy as np
import numpy.typing as npt
from torchvision import datasets
from torchvision.datasets.utils import download_url

from lookalike.errors import LookalikeError, UsageError
from lookalike.names import to_cells

_TROUBLE = (
    URLError,
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    tarfile.TarError,
    pickle.UnpicklingError,
)


class Arrays(NamedTuple):
    """A split as arrays.

    images: (N, H, W) or (N, H, W, 3) uint8.
    labels: (N,) integers, -1 where unknown.
    class_names: names that the labels number.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.integer[Any]]
    class_names: Iterable[str]


Rows = list[tuple[str | Path, str]]
"""A split as files, each with its class."""


def fetch(name: str, folder: Path, files: Mapping[str, Path]) -> None:
    """Download a known set into a folder and write one file a split.

    Args:
        name: of the set.
        folder: of the set.
        files: an `.npz` or `.csv` file for each split.

    Raises:
        UsageError: reading the set needs a package that is not installed.
        LookalikeError: the download failed.
    """
    if name in _NEED_SCIPY and importlib.util.find_spec("scipy") is None:
        raise UsageError(f"{name} comes in MATLAB files\nfix: pip install scipy")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            for split, path in files.items():
                _write(path, _SETS[name](folder, split))
    except _TROUBLE as problem:
        raise LookalikeError(
            f"{name} could not be downloaded: {' '.join(str(problem).split())}\n"
            f"fix: try again, or put the archive into {folder} by hand and say the same"
        ) from problem


def _cifar10(folder: Path, split: str) -> Arrays:
    members = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
    return _cifar(datasets.CIFAR10, folder, members[split], "labels")


def _cifar100(folder: Path, split: str) -> Arrays:
    return _cifar(datasets.CIFAR100, folder, [split], "fine_labels")


def _cifar(dataset: Any, folder: Path, members: list[str], key: str) -> Arrays:
    download_url(dataset.url, str(folder), dataset.filename, dataset.tgz_md5)
    with tarfile.open(folder / dataset.filename) as archive:

        def read(member: str) -> dict[str, Any]:
            file = archive.extractfile(f"{dataset.base_folder}/{member}")
            if file is None:
                raise RuntimeError(f"{member} is no file")
            content: dict[str, Any] = _OnlyArrays(file, encoding="latin1").load()
            return content

        batches = [read(member) for member in members]
        names = read(dataset.meta["filename"])[dataset.meta["key"]]
    planes = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([batch[key] for batch in batches])
    return Arrays(planes.transpose(0, 2, 3, 1), labels, names)


class _OnlyArrays(pickle.Unpickler):
    """Unpickles numbers, text, lists, dicts and numpy arrays; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what an array is made of."""
        if name == "_reconstruct" and module in (
            "numpy.core.multiarray",
            "numpy._core.multiarray",
        ):
            return _empty_array
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a file of arrays")


def _empty_array(_kind: type, _shape: tuple[int, ...], _dtype: object) -> npt.NDArray[Any]:
    """Return the array that an unpickler then fills."""
    return np.ndarray((0,), np.uint8)


def _mnist(folder: Path, split: str) -> Arrays:
    return _grey(datasets.MNIST(str(folder), train=split == "train", download=True))


def _fashion_mnist(folder: Path, split: str) -> Arrays:
    return _grey(datasets.FashionMNIST(str(folder), train=split == "train", download=True))


def _grey(dataset: Any) -> Arrays:
    return Arrays(dataset.data.numpy(), dataset.targets.numpy(), dataset.classes)


def _stl10(folder: Path, split: str) -> Arrays:
    dataset = datasets.STL10(str(folder), split=split, download=True)
    return Arrays(dataset.data.transpose(0, 2, 3, 1), dataset.labels, dataset.classes)


def _svhn(folder: Path, split: str) -> Arrays:
    dataset = datasets.SVHN(str(folder), split=split, download=True)
    return Arrays(dataset.data.transpose(0, 2, 3, 1), dataset.labels, map(str, range(10)))


def _flowers102(folder: Path, split: str) -> Rows:
    return _files(datasets.Flowers102(str(folder), split=split, download=True, loader=Path))


def _food101(folder: Path, split: str) -> Rows:
    return _files(datasets.Food101(str(folder), split=split, download=True, loader=Path))


def _eurosat(folder: Path, _split: str) -> Rows:
    return _files(datasets.EuroSAT(str(folder), download=True, loader=Path))


def _files(dataset: Any) -> Rows:
    """Return the files of a dataset that was told to load an image by returning its path."""
    return [
        (path, dataset.classes[label])
        for path, label in map(dataset.__getitem__, range(len(dataset)))
    ]


def _oxford_pets(folder: Path, split: str) -> Rows:
    lists = {"train": "trainval", "test": "test"}
    datasets.OxfordIIITPet(str(folder), split=lists[split], download=True)
    base = folder / "oxford-iiit-pet"
    lines = (base / "annotations" / f"{lists[split]}.txt").read_text().splitlines()
    names = [line.split()[0] for line in lines]
    return [(base / "images" / f"{name}.jpg", name.rpartition("_")[0]) for name in names]


_NEED_SCIPY = frozenset(["svhn", "flowers102"])

_SETS: dict[str, Callable[[Path, str], Arrays | Rows]] = {
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "mnist": _mnist,
    "fashion-mnist": _fashion_mnist,
    "stl10": _stl10,
    "svhn": _svhn,
    "flowers102": _flowers102,
    "food101": _food101,
    "oxford-pets": _oxford_pets,
    "eurosat": _eurosat,
}


def _write(path: Path, contents: Arrays | Rows) -> None:
    """Write a split so that its file is there whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    if isinstance(contents, Arrays):
        with open(unfinished, "wb") as file:
            np.savez(
                file,
                images=contents.images,
                labels=contents.labels,
                class_names=np.array(list(contents.class_names), dtype=np.str_),
            )
    else:
        with open(unfinished, "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["path", "label"])
            rows.writerows(
                to_cells((Path(name).relative_to(path.parent).as_posix(), label))
                for name, label in contents
            )
    os.replace(unfinished, path)
