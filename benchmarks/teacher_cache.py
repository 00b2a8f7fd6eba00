"""Distillation with the teacher's answers kept on disk, beside asking it in every step.

    python benchmarks/teacher_cache.py --threads 1

Both sides take the same steps of `--method distillation` in turn, in one process: fixed views of
images in memory, the student's forward and backward, SGD; one asks the teacher, the other looks its
answers up. Rates are medians of whole rounds. The pass is what the answers cost once, before
training. Weights and pixels are random, which changes no time.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from machine import processor
from torch import nn

from lookalike.backbones.build import build_backbone
from lookalike.data.resident import Resident
from lookalike.methods.distillation import Distillation
from lookalike.nn.teacher import Teacher
from lookalike.runs.kept_answers import KEYED, KeptAnswers
from lookalike.training.allocator import keep_freed_memory
from lookalike.training.batches import ResidentBatches, Viewing
from lookalike.training.distributed import World
from lookalike.training.optim import sgd
from lookalike.training.progress import Progress
from lookalike.views.plans import SUPERVISED_SMALL

PLAN = SUPERVISED_SMALL.with_(translation=0.0, flip=0.0)
CLASSES = 10
SIDES = ("asked", "kept")


class Pixels:
    """Random images in memory, as training has them."""

    def __init__(self, count: int, size: int) -> None:
        generator = np.random.default_rng(0)
        self.pixels = generator.integers(256, size=(count, 3, size, size), dtype=np.uint8)
        self.labels = np.arange(count) % CLASSES

    def batches(self, viewing: Viewing, *, workers: int) -> ResidentBatches:
        """Return batches of views of them."""
        count, _, *side = self.pixels.shape
        held = Resident(self.pixels, np.full((count, 2), side), np.arange(count))
        return ResidentBatches(held, self.labels, viewing)


def a_teacher(name: str, width: int, size: int) -> Teacher:
    torch.manual_seed(0)
    backbone = build_backbone(name, width=width)
    network = nn.Sequential(backbone, nn.Linear(backbone.dim, CLASSES))
    return Teacher(network.to(memory_format=torch.channels_last), size=size)


def a_student(
    name: str, width: int, teacher: Teacher
) -> tuple[Distillation, torch.optim.Optimizer]:
    torch.manual_seed(0)
    method = Distillation(build_backbone(name, width=width), (teacher,))
    method.to(memory_format=torch.channels_last)
    return method, sgd(method, lr=0.05)


def keep(teacher: Teacher, images: Pixels, viewing: Viewing) -> float:
    """Let a teacher answer by heart; return the seconds of the pass."""
    record = {**dict.fromkeys(KEYED), "images": len(images.pixels), "precision": "float32"}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        kept = KeptAnswers(Path(folder), (teacher,), record)
        kept.give(images, viewing, workers=0, progress=Progress(None, printing=False))
    return time.perf_counter() - began


def train(
    method: Distillation, optimizer: torch.optim.Optimizer, batches: ResidentBatches, steps: range
) -> tuple[float, list[float]]:
    """Return the seconds of some steps of the first epoch, and their losses."""
    losses = []
    began = time.perf_counter()
    for batch in batches.epoch(0, start=steps.start, stop=steps.stop):
        optimizer.zero_grad(set_to_none=True)
        step = method(batch)
        step.loss.backward()
        optimizer.step()
        losses.append(step.loss.item())
    return time.perf_counter() - began, losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", default="resnet18")
    parser.add_argument("--teacher-widths", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--student", default="small_conv")
    parser.add_argument("--student-width", type=int, default=16)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4, help="of a side, in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    print(f"{processor()}; torch {torch.__version__}; {given.threads} threads")
    print(
        f"{given.teacher} teaches {given.student} {given.student_width} wide, {given.size} px, "
        f"batches of {given.batch_size}, float32, median of {given.rounds} rounds\n"
    )
    print(
        "| teacher's width | asked images/s | kept images/s | ratio | pass images/s | loss apart |"
    )
    print("|---|---|---|---|---|---|")
    for width in given.teacher_widths:
        print("|", " | ".join(measure(width, given)), "|", flush=True)


def measure(width: int, given: argparse.Namespace) -> list[str]:
    """Return a row of the table."""
    images = Pixels(given.batch_size * given.steps * (given.rounds + 1), given.size)
    viewing = Viewing(
        plan=PLAN,
        size=given.size,
        batch_size=given.batch_size,
        seed=0,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        world=World(0, 1, torch.device("cpu")),
    )
    teachers = [a_teacher(given.teacher, width, given.size) for _ in SIDES]
    students = [a_student(given.student, given.student_width, each) for each in teachers]
    passed = keep(teachers[1], images, viewing)
    batches = images.batches(viewing, workers=0)
    seconds: tuple[list[float], list[float]] = ([], [])
    losses: tuple[list[float], list[float]] = ([], [])
    for turn in range(given.rounds + 1):
        steps = range(turn * given.steps, (turn + 1) * given.steps)
        for side, student in enumerate(students):
            taken, lost = train(*student, batches, steps)
            losses[side].extend(lost)
            if turn:  # the first warms up
                seconds[side].append(taken)
    pictures = given.batch_size * given.steps
    asked, kept = (pictures / statistics.median(taken) for taken in seconds)
    apart = max(abs(one - other) / other for one, other in zip(*losses, strict=True))
    rates = [f"{rate:,.0f}" for rate in (asked, kept)]
    cost = f"{len(images.pixels) / passed:,.0f}"
    return [str(width), *rates, f"{kept / asked:.1f}", cost, f"{apart:.0e}"]


if __name__ == "__main__":
    main()
