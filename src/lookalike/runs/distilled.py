"""A student beside its teacher: what is kept of its neighbours, and what is saved."""

from __future__ import annotations

import csv
import io
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike import registry
from lookalike.data.image_set import ImageSet
from lookalike.durable import write_atomically
from lookalike.embeddings import Embeddings
from lookalike.errors import UsageError
from lookalike.evaluation.knn import knn_accuracy, leave_one_out_accuracy
from lookalike.evaluation.protocol import Source, choose_sides
from lookalike.evaluation.retrieval import retrieval
from lookalike.inference import Encoder, load_encoder
from lookalike.judging.scorecard import choose_k
from lookalike.names import to_cell
from lookalike.pairwise.similarity import top_k
from lookalike.runs.job import train
from lookalike.runs.readable import images_trained_on
from lookalike.training.run_folder import Run

NEIGHBOURS = 10
"""Neighbours that are compared."""

LISTED = 10
"""Images whose neighbours changed most, in the table for people; all are in the file."""

_TIMED = 256  # pictures at a time
_ROUNDS = 7  # of both encoders in turn


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of both encoders.

    Attributes:
        parameters: numbers that it holds.
        megabytes: of its weights as they are saved.
        images_per_second: that it encodes from pictures in memory, on this machine.
        knn_top1: share of labelled images whose neighbours vote right; None without labels.
        recall_at_1: share whose nearest other image is of their class, likewise.
    """

    parameters: int
    megabytes: float
    images_per_second: float
    knn_top1: float | None
    recall_at_1: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A student beside its teacher, on images that neither was trained on where there are such.

    Attributes:
        source: of the images asked about.
        images: how many.
        teacher: what it was taught by.
        student: what came of it.
        overlap: mean share of the ten nearest images that both agree on.
        found_itself: share of the student's vectors whose nearest vector among the teacher's is
            that of the same image; None where they lie in different spaces.
        across_recall_at_1: share of the student's vectors whose nearest among the teacher's, the
            image itself aside, is of their class; None likewise, or without labels.
        kept: the student's kNN accuracy as a share of the teacher's; None without labels.
        faster: images a second of the student over those of the teacher.
        changed: each image with the share of its neighbours that stayed, least first.
    """

    source: str
    images: int
    teacher: Side
    student: Side
    overlap: float
    found_itself: float | None
    across_recall_at_1: float | None
    kept: float | None
    faster: float
    changed: tuple[tuple[str, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, the images that changed most among them."""
        return {**asdict(self), "changed": self.changed[:LISTED]}

    def lines(self) -> list[str]:
        """Return a table for people."""
        rows = [f"{'':28}{'teacher':>12}{'student':>12}"]
        for label, name, form in _ROWS:
            values = [getattr(side, name) for side in (self.teacher, self.student)]
            if None not in values:
                shown = [format(value, form).rjust(12) for value in values]
                rows.append(f"{label:28}{''.join(shown)}")
        if self.kept is not None:
            rows.append(f"kept of the teacher's kNN accuracy   {self.kept:.1%}")
        rows.append(f"the ten nearest in common            {self.overlap:.1%}")
        if self.found_itself is not None:
            rows.append(f"finds itself in the teacher's index  {self.found_itself:.1%}")
        if self.across_recall_at_1 is not None:
            rows.append(f"recall at 1 in the teacher's index   {self.across_recall_at_1:.1%}")
        rows.append(
            f"{self.faster:.1f} times as fast; {self.images:,} images of {self.source} asked"
        )
        least = ", ".join(f"{name} {share:.0%}" for name, share in self.changed[:3])
        rows.append(f"neighbours changed most: {least}")
        return rows


_ROWS = (
    ("parameters", "parameters", ",d"),
    ("megabytes", "megabytes", ".2f"),
    ("images a second", "images_per_second", ",.0f"),
    ("kNN top-1", "knn_top1", ".1%"),
    ("recall at 1", "recall_at_1", ".1%"),
)


def distill(
    run: str | Path,
    *,
    student: str,
    student_arguments: Mapping[str, Any] | None = None,
    data: str | None = None,
    out: str | Path | None = None,
    trust_code: bool = False,
    **settings: Any,
) -> tuple[Run, Comparison]:
    """Train a small encoder to see what a large one sees, and compare both.

    Args:
        run: the teacher: a run, or a model folder.
        student: backbone of the small encoder: any that `train` takes.
        student_arguments: of that backbone, by name.
        data: images to learn from; none: those that the teacher was trained on.
        out: folder of the student's run; none: beside the teacher's, with the student's name.
        trust_code: let code come from the file or package that the teacher names.
        settings: further arguments of `runs.job.train`.

    Returns:
        The student's run, and how it compares; also written to its comparison.json and changed.csv.

    Raises:
        UsageError: an argument cannot be, or nobody says what to learn from.
    """
    run = Path(run)
    teacher = load_encoder(run, trust_code=trust_code)
    config = Run(run).config if (run / "run.json").is_file() else None
    if data is None and config is None:
        raise UsageError(f"{run} does not say what it was trained on\n  fix: --data SOURCE")
    out = Path(out) if out else run.with_name(f"{run.name}-{student.replace(':', '-')}")
    done = train(
        data if data is not None else str((config or {})["source"]),
        out=out,
        method="embedding_distillation",
        backbone=student,
        backbone_arguments=student_arguments,
        teacher=str(run),
        trust_code=trust_code,
        evaluate=False,
        **settings,
    )
    with registry.given(student, student_arguments):
        small = load_encoder(done.path)
    found = compare(teacher, small, *_asked(done))
    write_atomically(done.path / "comparison.json", json.dumps(found.to_json(), indent=2).encode())
    write_atomically(done.path / "changed.csv", _table(found.changed))
    return done, found


def compare(
    teacher: Encoder, student: Encoder, source: Source, trained_on: Source | None = None
) -> Comparison:
    """Return how a student compares with its teacher on some images.

    Args:
        teacher: the large encoder.
        student: the small one.
        source: images to ask about, and, where it comes in splits, to vote.
        trained_on: images that the student was trained on; they vote if nothing better does.

    Raises:
        DataError: there are too few images.
    """
    sides = choose_sides(source, trained_on=trained_on)
    k, _ = choose_k(sides)
    queries = {side: side.embed(sides.queries) for side in (teacher, student)}
    rates = _rates(teacher, student)
    described = {
        side: _describe(side, queries[side], sides.bank, k=k, rate=rate)
        for side, rate in zip((teacher, student), rates, strict=True)
    }
    asked = [torch.from_numpy(queries[side].vectors) for side in (teacher, student)]
    shared = _shared(*asked)
    order = np.argsort(shared, kind="stable")
    ids = queries[student].ids
    accuracies = [described[side].knn_top1 for side in (teacher, student)]
    kept = accuracies[1] / accuracies[0] if accuracies[0] and accuracies[1] is not None else None
    itself, recall = _across(*asked, labels=queries[student].labels)
    return Comparison(
        source=sides.queries.name,
        images=len(ids),
        teacher=described[teacher],
        student=described[student],
        overlap=float(shared.mean()),
        found_itself=itself,
        across_recall_at_1=recall,
        kept=kept,
        faster=rates[1] / rates[0],
        changed=tuple((ids[row], float(shared[row])) for row in order),
    )


def _asked(run: Run) -> tuple[str, ImageSet]:
    """Return what to ask a finished student about, and what it has seen."""
    return run.config["source"].partition("/train")[0], images_trained_on(run.config)


def _describe(
    encoder: Encoder, queries: Embeddings, bank: ImageSet | None, *, k: int | None, rate: float
) -> Side:
    tensors = encoder.backbone.state_dict().values()
    accuracy = recall = None
    if k is not None:
        voters = encoder.embed(bank) if bank is not None else None
        accuracy = (
            leave_one_out_accuracy(queries, k=k)
            if voters is None
            else knn_accuracy(voters, queries, k=k)
        )
        labelled = queries.select(np.flatnonzero(queries.labels >= 0))
        if np.bincount(labelled.labels).max() > 1:
            recall = retrieval(labelled, ks=(1,), average_precision=None).recall_at_k[1]
    return Side(
        parameters=sum(each.numel() for each in encoder.backbone.parameters()),
        megabytes=sum(each.numel() * each.element_size() for each in tensors) / 1e6,
        images_per_second=rate,
        knn_top1=accuracy,
        recall_at_1=recall,
    )


def _shared(first: Tensor, second: Tensor) -> npt.NDArray[np.float64]:
    """Return (N,) the share of each image's nearest others that two encoders agree on."""
    k = min(NEIGHBOURS, len(first) - 1)
    near, also = (top_k(each, each, k, exclude_self=True)[1] for each in (first, second))
    same = (near.unsqueeze(2) == also.unsqueeze(1)).any(2)
    shares: npt.NDArray[np.float64] = same.double().mean(1).numpy()
    return shares


def _across(
    teacher: Tensor, student: Tensor, *, labels: npt.NDArray[np.int64]
) -> tuple[float | None, float | None]:
    """Return how often a student's vector finds its image, and its class, among the teacher's."""
    if teacher.shape[1] != student.shape[1]:
        return None, None
    nearest = top_k(student, teacher, 1)[1][:, 0].numpy()
    itself = float((nearest == np.arange(len(nearest))).mean())
    known = np.flatnonzero(labels >= 0)
    if len(known) < 2:
        return itself, None
    others = top_k(student, teacher, 1, exclude_self=True)[1][:, 0].numpy()
    return itself, float((labels[others[known]] == labels[known]).mean())


def _rates(teacher: Encoder, student: Encoder) -> list[float]:
    """Return the images a second of both, asked in turn: medians."""
    generator = torch.Generator().manual_seed(0)
    squares = [
        torch.randint(256, (_TIMED, 3, each.size, each.size), generator=generator).byte()
        for each in (teacher, student)
    ]
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(_ROUNDS + 1):
        for which, encoder in enumerate((teacher, student)):
            began = time.perf_counter()
            encoder.represent(squares[which])
            if turn:  # the first warms up
                seconds[which].append(time.perf_counter() - began)
    return [_TIMED / statistics.median(seconds[which]) for which in (0, 1)]


def _table(changed: tuple[tuple[str, float], ...]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "neighbours_kept"])
    writer.writerows((to_cell(name), f"{share:.2f}") for name, share in changed)
    return text.getvalue().encode()
