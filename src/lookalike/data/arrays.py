"""Images in the arrays of an `.npz` file; nothing in it is ever unpickled."""

from __future__ import annotations

import math
import threading
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.data.decode import Pixels
from lookalike.data.image_set import label_of_text
from lookalike.data.split_files import Part
from lookalike.errors import DataError

MAX_RATIO = 200
"""How many times its packed size an array may have, if it has over `FREE_BYTES`."""

FREE_BYTES = 2**30

FREE_LABEL_BYTES = 2**26
"""Likewise of labels and of the names of classes."""

FREE_IMAGES = 2**20
"""Images that may be there in fewer packed bytes than there are images."""

_HEADER_BYTES = 2**12


class ArrayReader:
    """Reads images from an array that is loaded when the first of them is wanted.

    Args:
        load: returns the (N, H, W) or (N, H, W, 3) uint8 array; can be pickled.
    """

    def __init__(self, load: Callable[[], Pixels]) -> None:
        self._load = load
        self._images: Pixels | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[ArrayReader], tuple[Callable[[], Pixels]]]:
        """Leave the array behind; another process loads it again."""
        return ArrayReader, (self._load,)

    def read(self, key: int, limit: int | None = None) -> Pixels:
        """Return one image, (H, W) or (H, W, 3)."""
        with self._lock:
            if self._images is None:
                self._images = self._load()
        image: Pixels = self._images[key]
        return image


def read_arrays(path: Path, split: str) -> Part:
    """Return what an `.npz` file holds under `images`, `labels` and `class_names`.

    Raises:
        DataError: it is damaged, has no `images`, or its arrays are not as they should be.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            shape = _image_shape(archive, path)
            _refuse_labels(archive, path, shape[0])
        with np.load(path, allow_pickle=False) as table:
            labels = table["labels"] if "labels" in table else np.full(shape[0], -1)
            names = table.get("class_names", None)
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as problem:
        raise DataError(f"{path} cannot be read as an .npz file: {problem}") from problem
    classes = labels.tolist() if names is None else _named(labels, names, path)
    if labels.dtype.kind == "U":
        classes = [label_of_text(str(text)) for text in classes]
    width = len(str(max(0, shape[0] - 1)))
    prefix = f"{split}/" if split else ""
    ids = tuple(f"{prefix}{number:0{width}d}" for number in range(shape[0]))
    return Part(ids, classes, ArrayReader(partial(_load_images, path.absolute())))


def _image_shape(archive: zipfile.ZipFile, path: Path) -> tuple[int, ...]:
    """Return the shape of the images, from their header, which must announce what is there."""
    if "images.npy" not in archive.namelist():
        found = ", ".join(name.removesuffix(".npy") for name in archive.namelist()[:9])
        raise DataError(f"{path} holds no array `images` (it has: {found or 'nothing'})")
    shape, dtype, whole = _announced(archive, "images.npy")
    member = archive.getinfo("images.npy")
    if (
        dtype != np.uint8
        or len(shape) not in (3, 4)
        or (len(shape) == 4 and shape[3] not in (1, 3))
    ):
        raise DataError(
            f"images in {path} must be uint8 (N, H, W) or (N, H, W, 3), got {dtype} {shape}"
        )
    if not whole or 0 in shape[1:]:
        raise DataError(f"images in {path} are damaged: {shape} is not what is there")
    if member.file_size > max(FREE_BYTES, MAX_RATIO * member.compress_size):
        raise DataError(
            f"images in {path} unpack from {member.compress_size:,} to {member.file_size:,} bytes, "
            "more than images do"
        )
    if shape[0] > max(FREE_IMAGES, member.compress_size):
        raise DataError(f"images in {path} are {shape[0]:,}, in {member.compress_size:,} bytes")
    return shape


def _announced(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Return an array's shape and type by its header, and whether as much as that is there."""
    member = archive.getinfo(name)
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_header: Callable[[Any], tuple[tuple[int, ...], bool, np.dtype[Any]]] = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(file)
        whole = file.tell() + math.prod(shape) * dtype.itemsize == member.file_size
    return shape, dtype, whole


def _refuse_labels(archive: zipfile.ZipFile, path: Path, count: int) -> None:
    """Refuse labels and names that are not what their headers announce, before they are unpacked.

    Raises:
        DataError: there are more or fewer of them, or they unpack to far more than they are.
    """
    whole_numbers = 8 * count + _HEADER_BYTES  # may all be the same, and pack to next to nothing
    for name, free in (("labels", whole_numbers), ("class_names", 0)):
        if f"{name}.npy" not in archive.namelist():
            continue
        member = archive.getinfo(f"{name}.npy")
        shape, dtype, whole = _announced(archive, f"{name}.npy")
        if name == "labels" and (shape != (count,) or dtype.kind not in "iubU"):
            raise DataError(
                f"labels in {path} must be {count:,} integers or names, got {dtype} {shape}"
            )
        if not whole and dtype.kind != "O":  # pickled objects have no length, and are never read
            raise DataError(f"{name} in {path} are damaged: {dtype} {shape} is not what is there")
        if member.file_size > max(free, FREE_LABEL_BYTES, MAX_RATIO * member.compress_size):
            raise DataError(
                f"{name} in {path} unpack from {member.compress_size:,} to {member.file_size:,} "
                f"bytes, more than {name} do"
            )


def _named(labels: npt.NDArray[Any], names: npt.NDArray[Any], path: Path) -> list[object]:
    if names.ndim != 1 or names.dtype.kind != "U" or labels.dtype.kind not in "iu":
        raise DataError(
            f"class_names in {path} must be names that integer labels number, "
            f"got {names.dtype} {names.shape} for {labels.dtype}"
        )
    if len(labels) and labels.max() >= len(names):
        raise DataError(f"{path} has a label {labels.max()}, but {len(names)} class_names")
    return [str(names[label]) if label >= 0 else None for label in labels]


def _load_images(path: Path) -> Pixels:
    with np.load(path, allow_pickle=False) as table:
        images: Pixels = table["images"]
    return images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images
