"""What teachers say of every image, kept on disk where an image looks the same in every epoch."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike.data.samplers import Layout
from lookalike.durable import open_atomically, write_atomically
from lookalike.errors import LookalikeError
from lookalike.methods.base import Method
from lookalike.nn.teacher import Teacher
from lookalike.runs.collection import Collection
from lookalike.training.batches import Viewing
from lookalike.training.progress import Progress
from lookalike.training.run_folder import Choice, differences

TABLE, KEY = "teacher.npy", "teacher.json"
"""Files in a run folder: (N, T, D) float32, what each of T teachers says of image i in row i; and
the settings that they say it under, with the table's digest."""

KEYED = ("teachers", "images_sha256", "size", "mean", "std", "views", "precision")
"""Settings of a run that its teachers' answers depend on."""

ON_DEVICE = 2**30
"""Bytes of answers that are held where training computes; more stay on disk, mapped."""


class InOrder:
    """Every image once, as the source has them, and the first again until the last batch is full.

    So any number of processes that share a batch share each of these.
    """

    def lay_out(
        self, labels: npt.NDArray[np.int64], *, batch_size: int, seed: int, epoch: int
    ) -> Layout:
        """Return the positions, as many as whole batches hold."""
        return Layout(np.arange(math.ceil(len(labels) / batch_size) * batch_size) % len(labels))


class KeptAnswers:
    """The table of a run.

    Args:
        folder: of the run.
        teachers: of the run, one or more, on their device.
        record: the run's resolved settings.
    """

    def __init__(
        self, folder: Path, teachers: Sequence[Teacher], record: Mapping[str, Any]
    ) -> None:
        self._path, self._key_path = folder / TABLE, folder / KEY
        self._teachers = teachers
        self._shape = (record["images"], len(teachers), teachers[0].width())
        key = {**{name: record[name] for name in KEYED}, "shape": self._shape}
        self._key: dict[str, Any] = json.loads(json.dumps(key, default=str))
        self._precision: torch.dtype = getattr(torch, record["precision"])

    def choose(self, method: Method, viewing: Viewing, *, epochs: int) -> tuple[bool, Choice]:
        """Return whether answers are kept, and what to tell of it.

        Args:
            method: what the teachers teach.
            viewing: its views.
            epochs: of the training.
        """
        views, name = viewing.plan.views, "teacher's answers"
        if not all(view.fixed for view in views):
            return False, Choice(name, "asked for in every step", "views are random")
        against = {
            "there are several": len(views) > 1,
            "this method needs the teacher itself": not method.asks_by_index,
            "every image is seen once": epochs == 1,
        }
        for reason, holds in against.items():
            if holds:
                return False, Choice(
                    name, "asked for in every step", f"views are fixed, but {reason}"
                )
        size = f"{math.ceil(4 * math.prod(self._shape) / 1e6):,} MB"
        return True, Choice(name, f"kept on disk, {size}", "views are fixed")

    def give(
        self, images: Collection, viewing: Viewing, *, workers: int, progress: Progress
    ) -> None:
        """Let the teachers answer by heart; ask them about every image first where it is not kept.

        All processes must call.

        Args:
            images: to ask about.
            viewing: how training sees them.
            workers: processes that decode.
            progress: told how far the asking is, and of a table that is of no use.

        Raises:
            DataError: too many images cannot be read any more.
            LookalikeError: no space is left, or a process cannot read the table.
        """
        world = viewing.world
        whole, problem = self._look() if world.leads else (True, None)
        if problem:
            progress.say(f"warning: {self._path} {problem}: the teacher is asked anew")
        if world.any(not whole)[0]:
            said = self._ask(images, replace(viewing, order=InOrder()), workers, progress)
            if world.leads:
                self._write(said)
            else:
                for _ in said:
                    pass
            world.wait()
        try:
            table = torch.from_numpy(np.load(self._path, mmap_mode="c", allow_pickle=False))
        except OSError as missing:
            raise LookalikeError(
                f"process {world.rank} cannot read {self._path} ({missing.strerror})\n"
                "  fix: let all processes reach the run folder"
            ) from missing
        if table.nbytes <= ON_DEVICE:
            table = table.to(world.device)
        for teacher, answers in zip(self._teachers, table.unbind(1), strict=True):
            teacher.remember(answers)

    def _look(self) -> tuple[bool, str | None]:
        """Return whether the disk has this run's table, and what is wrong with what it has."""
        if not self._key_path.exists():
            return False, None
        try:
            known = json.loads(self._key_path.read_text())
            same = known.pop("sha256") == _digest(self._path)
        except (OSError, ValueError, TypeError, AttributeError, LookupError) as problem:
            return False, f"is damaged ({type(problem).__name__})"
        if not same:
            return False, "is damaged (it does not match its digest)"
        changed = [name for name, _, _ in differences(known, self._key)]
        return not changed, f"was made with other {', '.join(changed)}" if changed else None

    def _write(self, said: Iterator[Tensor]) -> None:
        """Write the table, then its key: a table without is none."""
        self._key_path.unlink(missing_ok=True)
        header = {"descr": "<f4", "fortran_order": False, "shape": self._shape}
        with open_atomically(self._path) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for rows in said:
                file.write(np.ascontiguousarray(rows.numpy(), dtype="<f4").data)
        key = {**self._key, "sha256": _digest(self._path)}
        write_atomically(self._key_path, json.dumps(key, indent=2).encode())

    def _ask(
        self, images: Collection, viewing: Viewing, workers: int, progress: Progress
    ) -> Iterator[Tensor]:
        """Yield what the teachers say of all images, in order: (B, T, D) at a time, on the CPU.

        It is NaN of an image that cannot be read any more.
        """
        world, count, done = viewing.world, self._shape[0], 0
        low = self._precision != torch.float32
        batches = images.batches(viewing, workers=workers)
        for batch in batches.epoch(0, start=0, stop=math.ceil(count / viewing.batch_size)):
            with torch.no_grad(), torch.autocast(world.device.type, self._precision, enabled=low):
                answers = torch.stack([each(*batch.views) for each in self._teachers], dim=1)
            answers = world.collect(answers.float().cpu()).flatten(0, 1)
            shown = world.collect(batch.index.cpu()).flatten()
            meant = torch.arange(done, done + len(shown))
            answers[shown != meant] = math.nan
            yield answers[: count - done]
            done = min(done + len(shown), count)
            progress.show(done, count, {}, noun="asking the teacher about image")


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
