"""A student of soft targets beside the same student of labels: CIFAR-10 or any labelled images.

    python benchmarks/kd.py --data cifar10 --limit 5000

One teacher learns from the labels, then each seed trains two students: one from the teacher's
answers and the labels (`--method distillation`, its defaults), one from labels alone
(`--method supervised`). All see the same images, and are asked about the test split after their
last epoch.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from machine import processor

from lookalike import open_source, train
from lookalike.runs.answers import answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="labelled images, with a test split")
    parser.add_argument("--limit", type=int, default=5_000, help="images to learn from")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--teacher-width", type=int, default=32)
    parser.add_argument("--student-width", type=int, default=8)
    parser.add_argument("--teacher-epochs", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=30)
    given = parser.parse_args()
    asked = open_source(given.data, split="test")
    print(f"{processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{given.limit:,} images to learn from, {len(asked):,} to be asked about")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:

        def right(name: str, width: int, **settings: Any) -> float:
            """Train a network of four convolutions; return its share of right answers."""
            run = train(
                given.data,
                out=Path(scratch) / name,
                limit=given.limit,
                backbone="small_conv",
                backbone_arguments={"width": width},
                monitor_every=1000,
                evaluate=False,
                quiet=True,
                **settings,
            )
            logits, truth = answer(run, asked)
            share = float((logits.argmax(1) == truth).double().mean())
            print(f"{name:20} {share:.3f}  {time.monotonic() - began:5.0f} s so far", flush=True)
            return share

        right("teacher", given.teacher_width, method="supervised", epochs=given.teacher_epochs)
        taught, alone = [], []
        for seed in given.seeds:
            common: dict[str, Any] = {"seed": seed, "epochs": given.epochs}
            teacher = Path(scratch) / "teacher"
            name, width = f"taught-{seed}", given.student_width
            taught.append(right(name, width, method="distillation", teacher=teacher, **common))
            alone.append(right(f"alone-{seed}", width, method="supervised", **common))
    print("\n| student | right | spread |\n|---|---|---|")
    for name, shares in (("of soft targets", taught), ("of labels alone", alone)):
        spread = statistics.stdev(shares) if len(shares) > 1 else 0.0
        print(f"| {name} | {statistics.mean(shares):.3f} | {spread:.3f} |")


if __name__ == "__main__":
    main()
