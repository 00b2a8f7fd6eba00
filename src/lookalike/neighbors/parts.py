"""Vectors while they are made: a folder of parts, each written once, by whoever comes first.

    parts/plan.json   what the parts are of, so that no two sets or encoders are mixed
          00000.npz   vectors, and what was seen, of the first images
          00001.npz   of the next

A part is the same whoever writes it, and it takes its name when it is whole. So a process that is
killed loses a part at most, and several processes can share the work without a word between them.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from lookalike.data.decode import Pixels, Raw, UnreadableImage, centre_square, decode, measure
from lookalike.data.image_set import ImageSet, Unreadable
from lookalike.data.quarantine import Progress
from lookalike.data.threads import map_in_order
from lookalike.durable import sync_folder, write_atomically
from lookalike.errors import UsageError
from lookalike.inference import Encoder
from lookalike.neighbors.collection import CLASS, ID, Precision, Vectors, damaged
from lookalike.pairwise.similarity import unit_rows

PART = 512  # images: what a killed process has to do again
_PLAN = "plan.json"


class _Seen(NamedTuple):
    """An image that was read.

    square: (size, size, 3) the picture of it.
    sha256: of its file, or of its shape and pixels where it has none.
    bytes: its size there.
    width: upright, in pixels.
    height: likewise.
    """

    square: Pixels
    sha256: str
    bytes: int
    width: int
    height: int


@dataclass
class Spent:
    """Where the time went.

    Attributes:
        images: how many were read, those among them that could not be.
        seconds: in all.
        waiting: of these, until pictures were there; the rest is the network's.
    """

    images: int = 0
    seconds: float = 0.0
    waiting: float = 0.0


class Parts:
    """The parts of a set, those that are there and those that are to be made.

    Args:
        folder: where they are, or will be.
        encoder: what makes the vectors.
        images: the set.
        dtype: to store vectors in.
        max_pixels: larger images count as unreadable.
        after: how many parts the collection has that these are for. Parts for fewer were added to
            it, or given up, and are thrown away.

    Raises:
        UsageError: the folder holds parts of another set, encoder or kind.
    """

    def __init__(
        self,
        folder: Path,
        encoder: Encoder,
        images: ImageSet,
        *,
        dtype: Precision,
        max_pixels: int,
        after: int = 0,
    ) -> None:
        self.folder, self.encoder, self.images = folder, encoder, images
        self.dtype, self.max_pixels = dtype, max_pixels
        remove_stale(folder, after)
        self._keep_to_plan(
            {
                "encoder": encoder.fingerprint(),
                "precision": encoder.precision,
                "dtype": dtype,
                "max_pixels": max_pixels,
                "after": after,
                "images": len(images),
                "ids": hashlib.sha256("\n".join(images.ids).encode()).hexdigest(),
            }
        )

    def __len__(self) -> int:
        """Return how many parts there will be."""
        return math.ceil(len(self.images) / PART)

    def missing(self, shard: tuple[int, int] = (0, 1)) -> list[int]:
        """Return the parts that are not there yet, of one shard of all: (its number, of how many).

        A shard is a stretch of the set, so that archives are read from front to back.
        """
        return [part for part in self.share(shard) if not self._path(part).exists()]

    def forget_changed(self, parts: Sequence[int]) -> int:
        """Remove parts of images that are not what they were when the part was made.

        Returns:
            how many images are not.
        """
        changed = 0
        for part in parts:
            if not self._path(part).exists():
                continue
            seen = self._load(part, "position", "sha256")
            was = dict(zip(seen["position"].tolist(), seen["sha256"].tolist(), strict=True))
            now = map_in_order(self._digest, self._positions(part))
            other = sum(
                digest != was.get(position)
                for position, digest in zip(self._positions(part), now, strict=True)
                if position in was or isinstance(self._read(position), _Seen)
            )
            if other:
                self._path(part).unlink()
            changed += other
        return changed

    def share(self, shard: tuple[int, int] = (0, 1)) -> list[int]:
        """Return the parts of one shard of all: (its number, of how many), made or not."""
        number, shards = shard
        parts: list[int] = np.array_split(np.arange(len(self)), shards)[number].tolist()
        return parts

    def make(
        self, parts: Sequence[int], *, batch_size: int, progress: Progress | None = None
    ) -> Spent:
        """Make parts; while the network computes, threads read on."""
        spent, began = Spent(), time.monotonic()
        positions = [position for part in parts for position in self._positions(part)]
        seen = map_in_order(self._read, positions)
        for part in parts:
            content: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
            vectors = [torch.zeros(0, self.encoder.dim)]
            for batch in _cut(self._positions(part), batch_size):
                asked = time.monotonic()
                read = [next(seen) for _ in batch]
                spent.waiting += time.monotonic() - asked
                squares = _note(content, zip(batch, read, strict=True))
                if squares:
                    pictures = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)
                    vectors.append(self.encoder.represent(pictures, batch_size=batch_size))
                spent.images += len(batch)
                if progress is not None:
                    progress(spent.images, len(positions))
            rows = unit_rows(torch.cat(vectors)).numpy().astype(self.dtype)
            self._write(part, rows, content)
        spent.seconds = time.monotonic() - began
        return spent

    def blocks(self) -> Iterator[Vectors]:
        """Yield the vectors of each part, (n, dim)."""
        return (self._load(part, "vectors")["vectors"] for part in range(len(self)))

    def table(self) -> Any:
        """Return a row a vector: id, class where there are any, and what was seen of the file."""
        import pyarrow  # noqa: PLC0415  half a second

        loaded = [self._load(part, *_COLUMNS) for part in range(len(self))]
        columns = {
            name: np.concatenate([np.zeros(0, kind), *(part[name] for part in loaded)])
            for name, kind in _COLUMNS.items()
        }
        kept = columns["position"]
        ids = pyarrow.array([self.images.ids[row] for row in kept], pyarrow.string())
        table = pyarrow.table({ID: ids})
        if self.images.class_names:
            names = [
                self.images.class_names[label] if label >= 0 else None
                for label in self.images.labels[kept]
            ]
            table = table.append_column(CLASS, pyarrow.array(names, pyarrow.string()))
        for name in ("width", "height", "bytes"):
            table = table.append_column(name, pyarrow.array(columns[name], pyarrow.int64()))
        digests = pyarrow.array(columns["sha256"].tolist(), pyarrow.string())
        return table.append_column("sha256", digests)

    def positions(self) -> list[int]:
        """Return where in the set each vector's image is."""
        parts = (self._load(part, "position")["position"] for part in range(len(self)))
        return [position for part in parts for position in part.tolist()]

    def unreadable(self) -> tuple[Unreadable, ...]:
        """Return what could not be read, in the order of the set."""
        loaded = (self._load(part, "unread", "reason") for part in range(len(self)))
        return tuple(
            Unreadable(self.images.ids[position], reason)
            for part in loaded
            for position, reason in zip(part["unread"], part["reason"].tolist(), strict=True)
        )

    def _path(self, part: int) -> Path:
        return self.folder / f"{part:05d}.npz"

    def _positions(self, part: int) -> range:
        return range(part * PART, min((part + 1) * PART, len(self.images)))

    def _read(self, position: int) -> _Seen | str:
        """Return what an image is, or why it cannot be read."""
        try:
            raw = self.images.read(position)
            header = measure(raw, max_pixels=self.max_pixels)
            size = self.encoder.size
            square = centre_square(decode(raw, max_pixels=self.max_pixels, at_least=size), size)
        except UnreadableImage as problem:
            return problem.reason
        content = _content(raw)
        digest = hashlib.sha256(content).hexdigest()
        return _Seen(square, digest, len(content), header.width, header.height)

    def _digest(self, position: int) -> str | None:
        return digest_image(self.images, position)

    def _keep_to_plan(self, plan: dict[str, Any]) -> None:
        path = self.folder / _PLAN
        self.folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            there = json.loads(path.read_bytes())
            other = [name for name in plan if there.get(name) != plan[name]]
            if other:
                raise UsageError(
                    f"{self.folder} was begun with another {' and '.join(other)}\n"
                    f"  fix: name another folder, or remove {self.folder} to begin anew"
                )
        else:
            write_atomically(path, json.dumps(plan, indent=1).encode())

    def _write(self, part: int, vectors: Vectors, content: dict[str, list[Any]]) -> None:
        file = io.BytesIO()
        arrays: dict[str, Any] = {
            name: np.array(content[name], kind) for name, kind in _COLUMNS.items()
        }
        np.savez(file, vectors=vectors, **arrays)
        write_atomically(self._path(part), file.getvalue())

    def _load(self, part: int, *names: str) -> dict[str, Any]:
        path = self._path(part)
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in names}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
            why = f"{problem}; remove it, and the same command makes it again"
            raise damaged(path, why) from problem


_COLUMNS: dict[str, Any] = {
    "position": np.int64,
    "sha256": np.str_,
    "bytes": np.int64,
    "width": np.int64,
    "height": np.int64,
    "unread": np.int64,
    "reason": np.str_,
}
"""What a part holds beside vectors: the first five a row a vector, the last two one a loss."""


def digest_image(images: ImageSet, position: int) -> str | None:
    """Return the sha256 that a collection's table keeps of an image; None if it cannot be had."""
    try:
        return hashlib.sha256(_content(images.read(position))).hexdigest()
    except UnreadableImage:
        return None


def remove_parts(folder: Path) -> None:
    """Remove a folder of parts; the plan last, so that no part is ever there without it."""
    if folder.is_dir():
        for path in sorted(folder.iterdir(), key=lambda path: path.name == _PLAN):
            path.unlink()
        folder.rmdir()
        sync_folder(folder.parent)


def remove_stale(folder: Path, after: int) -> None:
    """Remove parts that were made for a collection when it had fewer parts than now.

    They were added to it, and a process was killed as it cleared up; or they were given up.
    """
    if _made_after(folder) < after:
        remove_parts(folder)


def _made_after(folder: Path) -> int:
    """Return how many parts the collection had that parts in a folder are for."""
    try:
        return int(json.loads((folder / _PLAN).read_bytes()).get("after", 0))
    except OSError:
        return 0  # a part without a plan is nobody's
    except (ValueError, TypeError, AttributeError):
        return 0


def _content(raw: Raw) -> bytes:
    return f"{raw.shape}".encode() + raw.tobytes() if isinstance(raw, np.ndarray) else raw


def _note(content: dict[str, list[Any]], read: Iterator[tuple[int, _Seen | str]]) -> list[Pixels]:
    """Note what was seen; return the pictures."""
    squares = []
    for position, seen in read:
        if isinstance(seen, str):
            content["unread"].append(position)
            content["reason"].append(seen)
            continue
        content["position"].append(position)
        for name in ("sha256", "bytes", "width", "height"):
            content[name].append(getattr(seen, name))
        squares.append(seen.square)
    return squares


def _cut(positions: range, size: int) -> Iterator[range]:
    return (positions[start : start + size] for start in range(0, len(positions), size))
