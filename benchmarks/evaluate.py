"""Where the time of an evaluation goes, and what it took before: 10,000 images of 100 classes.

    python benchmarks/evaluate.py --data cifar10
    python benchmarks/evaluate.py --data cifar10 --before ../lookalike-before/src

The test images of CIFAR-10, each of its classes cut in ten by brightness: labels that a classifier
can learn a little of. Three quarters of each class vote on the rest. The network is the one that
`lookalike train` would choose on a CPU, untrained. `--before` is the source of another checkout
that measures the same in turn. The second time, baselines' numbers come from where they are kept.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import processor

from lookalike.backbones.build import build_backbone
from lookalike.data.sources import ImageSet, open_source
from lookalike.inference import Encoder
from lookalike.judging import scorecard

PARTS = {
    "describe_images": "pictures to vectors",
    "knn_votes": "neighbours vote",
    "retrieval": "retrieval",
    "linear_probe": "linear probe",
    "_label_free": "spectrum, uniformity",
    "_alignments": "alignment",
    "pixel_axes": "axes of pixels",
    "principal_axes": "axes of gradients",
    "_keys": "digest of the images",
}
ARGUMENTS = {"width": 16, "stem": "strided", "zero_init_residual": False}
BINS = 10


def cut_by_brightness(images: ImageSet) -> ImageSet:
    """Return the images with ten times as many classes."""
    brightness = np.array([np.mean(images.read(each)) for each in range(len(images))])
    labels = np.zeros(len(images), dtype=np.int64)
    for label in range(len(images.class_names)):
        rows = np.flatnonzero(images.labels == label)
        order = brightness[rows].argsort(kind="stable").argsort(kind="stable")
        labels[rows] = label * BINS + order * BINS // len(rows)
    names = tuple(f"{name} {part}" for name in images.class_names for part in range(BINS))
    return replace(images, labels=labels, class_names=names)


def timed(function: Callable[..., Any], title: str, spent: dict[str, float]) -> Callable[..., Any]:
    """Return a function that adds its time to what was spent."""

    def call(*given: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            spent[title] = spent.get(title, 0.0) + time.perf_counter() - began

    return call


def measure(images: ImageSet, size: int, kept: Any) -> dict[str, float]:
    """Return the seconds of each part of an evaluation, and of all of it."""
    torch.manual_seed(0)
    backbone = build_backbone("resnet18", **ARGUMENTS)
    encoder = Encoder(backbone, size=size, name="resnet18", arguments=ARGUMENTS)
    spent: dict[str, float] = {}
    whole = {name: getattr(scorecard, name) for name in PARTS if hasattr(scorecard, name)}
    for name, function in whole.items():
        setattr(scorecard, name, timed(function, PARTS[name], spent))
    began = time.perf_counter()
    scorecard.score(encoder, images, **({} if kept is None else {"kept": kept}))
    spent["all"] = time.perf_counter() - began
    for name, function in whole.items():
        setattr(scorecard, name, function)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="cifar10", help="images of 32 px with a test split")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, help="src folder of another checkout")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.child:
        report(options)
        return
    images = open_source(options.data, split="test")
    images = cut_by_brightness(images.select(range(min(options.images, len(images)))))
    try:
        from lookalike.judging.kept import KeptMeasures
    except ImportError:  # an older checkout keeps nothing
        print(json.dumps([measure(images, options.size, None)]))
        return
    with tempfile.TemporaryDirectory() as folder:
        kept = KeptMeasures(Path(folder))
        print(json.dumps([measure(images, options.size, kept) for _ in range(2)]))


def report(options: argparse.Namespace) -> None:
    """Run each side in turn, in processes of their own, and print the medians."""
    sides = {"before": options.before} if options.before else {}
    runs: dict[str, list[dict[str, float]]] = {}
    for _ in range(options.rounds):
        for name, source in {**sides, "now": None}.items():
            path = {} if source is None else {"PYTHONPATH": str(source.resolve())}
            words = [sys.executable, __file__, "--child", "--data", options.data]
            words += ["--images", str(options.images), "--size", str(options.size)]
            done = subprocess.run(
                words, env={**os.environ, **path}, capture_output=True, text=True, check=True
            )
            for title, spent in zip((name, "again"), json.loads(done.stdout), strict=False):
                runs.setdefault(title, []).append(spent)
    print(f"{processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{options.images:,} images, {options.size} px, {options.rounds} rounds")
    print(f"| seconds | {' | '.join(runs)} |")
    print("|---|" + "---|" * len(runs))
    for part in dict.fromkeys([*PARTS.values(), "all"]):
        times = [np.median([each.get(part, 0.0) for each in spent]) for spent in runs.values()]
        cells = [f"{seconds:.2f}" if seconds else "-" for seconds in times]
        print(f"| {part} | {' | '.join(cells)} |")
    if "before" in runs:
        first, *others = (np.median([each["all"] for each in spent]) for spent in runs.values())
        print(f"of the time before: {', '.join(f'{other / first:.2f}' for other in others)}")


if __name__ == "__main__":
    main()
