"""A run folder, read for the report: what is there, and a reason for each thing that is not."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt

from lookalike.names import from_cell
from lookalike.training.run_folder import Run, read_lines

LOG_LINES = 12

Content = TypeVar("Content")


@dataclass(frozen=True)
class Gallery:
    """Images with their vectors, chosen by the run for the report to show.

    Args:
        thumbs: (N, side, side, 3) uint8.
        ids: N names, one an image.
        labels: (N,) int64 positions in `class_names`; -1 where unknown.
        class_names: names of the classes.
        vectors: (N, D) float32, L2-normalised.
    """

    thumbs: npt.NDArray[np.uint8]
    ids: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    vectors: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.ids)

    def select(self, positions: Sequence[int]) -> Gallery:
        """Return the images at these positions, in their order."""
        chosen = np.asarray(positions, dtype=np.int64)
        return Gallery(
            self.thumbs[chosen],
            tuple(self.ids[place] for place in chosen.tolist()),
            self.labels[chosen],
            self.class_names,
            self.vectors[chosen],
        )

    def class_of(self, position: int) -> str | None:
        """Return the name of an image's class, if it is known."""
        label = int(self.labels[position])
        return self.class_names[label] if label >= 0 else None


@dataclass(frozen=True)
class RunRecord:
    """Everything a report draws on.

    Args:
        run: the object in run.json.
        train: the training lines of metrics.jsonl, by step.
        monitors: its monitor lines, by step.
        speed: the lines of speed.jsonl, by step.
        evaluation: the object in evaluation.json, if there is one.
        verification: the object in verification.json, if there is one.
        comparison: the object in comparison.json, which a student has.
        gallery: the images to show, if there are any.
        unreadable: (id, reason) of the images that could not be read; none if that is not known.
        log: the last lines of log.txt.
        damaged: what is wrong, by file name, with each file that is there but not (wholly) usable.
    """

    folder: Path
    run: dict[str, Any]
    train: tuple[dict[str, Any], ...]
    monitors: tuple[dict[str, Any], ...]
    speed: tuple[dict[str, Any], ...]
    evaluation: dict[str, Any] | None
    verification: dict[str, Any] | None
    comparison: dict[str, Any] | None
    gallery: Gallery | None
    unreadable: tuple[tuple[str, str], ...] | None
    log: tuple[str, ...]
    damaged: dict[str, str]

    @property
    def resolved(self) -> dict[str, Any]:
        """Every setting of the run."""
        resolved = self.run.get("resolved")
        return resolved if isinstance(resolved, dict) else {}

    def absence(self, name: str) -> str:
        """Return a sentence that says why a file of the run folder is not shown."""
        if name in self.damaged:
            return f"{name} cannot be shown: {self.damaged[name]}."
        return f"The run folder has no {name}."


def read_run(folder: Path) -> RunRecord:
    """Return what the report needs of a run folder.

    Raises:
        UsageError: the folder holds no run, or its run.json cannot be read or is a newer one's.
    """
    record = Run(folder).record
    damaged: dict[str, str] = {}

    def attempt(name: str, read: Callable[[Path], Content]) -> Content | None:
        if not (folder / name).is_file():
            return None
        try:
            return read(folder / name)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, csv.Error) as problem:
            damaged[name] = " ".join(str(problem).split()) or type(problem).__name__
            return None

    def lines(name: str) -> tuple[dict[str, Any], ...]:
        rows = attempt(name, _steps) or ()
        lost = (attempt(name, _count_lines) or 0) - len(rows)
        if rows and lost:
            damaged[name] = f"{lost} of its lines cannot be read and are left out"
        return rows

    metrics = lines("metrics.jsonl")
    return RunRecord(
        folder=folder,
        run=record,
        train=tuple(row for row in metrics if row.get("kind") == "train"),
        monitors=tuple(row for row in metrics if row.get("kind") == "monitor"),
        speed=lines("speed.jsonl"),
        evaluation=attempt("evaluation.json", _read_object),
        verification=attempt("verification.json", _read_object),
        comparison=attempt("comparison.json", _read_object),
        gallery=attempt("gallery.npz", read_gallery),
        unreadable=attempt("unreadable.csv", _read_unreadable),
        log=attempt("log.txt", _read_log) or (),
        damaged=damaged,
    )


def read_gallery(path: Path) -> Gallery:
    """Return the arrays of gallery.npz; nothing is unpickled.

    Raises:
        ValueError: an array has a shape, a type or a value that it should not have.
        KeyError: an array is missing.
        OSError: the file cannot be read.
    """
    with np.load(path, allow_pickle=False) as table:
        gallery = Gallery(
            thumbs=table["thumbs"],
            ids=tuple(str(name) for name in table["ids"]),
            labels=table["labels"].astype(np.int64),
            class_names=tuple(str(name) for name in table["class_names"]),
            vectors=table["vectors"].astype(np.float32),
        )
    count = len(gallery)
    shape = gallery.thumbs.shape
    if gallery.thumbs.dtype != np.uint8 or len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3:
        raise ValueError(
            f"thumbs must be uint8 (n, side, side, 3), got {gallery.thumbs.dtype} {shape}"
        )
    if not len(gallery.thumbs) == len(gallery.vectors) == count or gallery.labels.shape != (count,):
        raise ValueError("thumbs, ids, labels and vectors must have one row an image")
    if count == 0:
        raise ValueError("it holds no images")
    if gallery.labels.max() >= len(gallery.class_names):
        raise ValueError("a label has no class name")
    if gallery.vectors.ndim != 2 or not np.isfinite(gallery.vectors).all():
        raise ValueError("vectors must be finite numbers, one row an image")
    return gallery


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value from JSON is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _steps(path: Path) -> tuple[dict[str, Any], ...]:
    rows = [row for row in read_lines(path) if isinstance(row, dict)]
    return tuple(sorted(rows, key=lambda row: row["step"] if is_number(row.get("step")) else 0))


def _count_lines(path: Path) -> int:
    return sum(1 for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


def _read_object(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    return content


def _read_unreadable(path: Path) -> tuple[tuple[str, str], ...]:
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.DictReader(file)
        return tuple((from_cell(row["id"]), row["reason"] or "") for row in rows)


def _read_log(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])
