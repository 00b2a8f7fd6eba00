"""Retrieval metrics beside pytorch-metric-learning's on faiss: the same numbers, sooner, in less.

    pip install lookalike[benchmarks]
    python benchmarks/retrieval.py --sizes 10000 60000 --threads 1

Each image searches all others. Theirs is AccuracyCalculator with precision_at_1, r_precision and
mean_average_precision_at_r, and the k that these need; ours is `retrieval` of the same, and with
the mean average precision over the whole list besides (mAP). Vectors of width 128 lie in fuzzy
clusters, a class each, of sizes from 0.2 to 1.8 times the mean. Every side runs in a process of its
own (Linux), whose memory grew at most by the MB shown. The error is the largest difference of the
three metrics.
"""

import argparse
import re
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import processor

from lookalike.embeddings import Embeddings
from lookalike.evaluation.retrieval import retrieval

WIDTH = 128
NAMES = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
SIDES = ("pytorch-metric-learning", "lookalike", "lookalike, mAP")

Images = tuple[np.ndarray, np.ndarray]


def clusters(count: int, classes: int, seed: int = 0) -> Images:
    """Return (count, WIDTH) float32 unit vectors and their classes."""
    random = np.random.default_rng(seed)
    shares = np.linspace(0.2, 1.8, classes)
    labels = random.choice(classes, count, p=shares / shares.sum())
    centres = random.normal(size=(classes, WIDTH))
    vectors = centres[labels] + 2 * random.normal(size=(count, WIDTH))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), labels.astype(np.int64)


def judge_of(side: str) -> Callable[[Images], list[float]]:
    if side != SIDES[0]:

        def ours(images: Images) -> list[float]:
            vectors, labels = images
            found = retrieval(
                Embeddings(vectors, ("",) * len(vectors), labels),
                average_precision="standard" if side.endswith("mAP") else None,
            )
            return [found.recall_at_k[1], found.r_precision, found.map_at_r]

        return ours
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    calculator = AccuracyCalculator(include=NAMES, k="max_bin_count", device=torch.device("cpu"))

    def theirs(images: Images) -> list[float]:
        vectors, labels = map(torch.from_numpy, images)
        found = calculator.get_accuracy(vectors, labels)
        return [found[name] for name in NAMES]

    return theirs


def measure(side: str, count: int, classes: int, threads: int) -> tuple[float, float, list[float]]:
    """Return the seconds, the MB by which the process grew at most, and the three metrics."""
    torch.set_num_threads(threads)
    judge, images = judge_of(side), clusters(count, classes)
    if side == SIDES[0]:
        import faiss

        faiss.omp_set_num_threads(threads)
    judge(clusters(500, 10))  # loads what is loaded lazily
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, start = resident("VmRSS"), time.perf_counter()
    numbers = judge(images)
    return time.perf_counter() - start, (resident("VmHWM") - before) / 1024, numbers


def resident(field: str) -> int:
    return int(re.search(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a fresh process."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000])
    parser.add_argument("--classes", type=int, default=120)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    given = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", SIDES[0], "faiss-cpu"))
    print(f"{processor()}; {versions}")
    print(f"N x {WIDTH} in {given.classes} classes, one run\n")
    seconds, memory = "theirs s | ours s | ratio | mAP too s", "theirs MB | ours MB | ratio"
    print(f"| N | threads | {seconds} | {memory} | error |")
    print("|" + "---|" * 10)
    for count in given.sizes:
        for threads in given.threads:
            theirs, ours, whole = (
                alone(measure, side, count, given.classes, threads) for side in SIDES
            )
            cells = [*compare(theirs[0], ours[0], ".1f"), f"{whole[0]:.1f}"]
            cells += compare(theirs[1], ours[1], ".0f")
            difference = max(abs(a - b) for a, b in zip(theirs[2], ours[2], strict=True))
            row = [f"{count:,}", str(threads), *cells, f"{difference:.0e}"]
            print("|", " | ".join(row), "|", flush=True)


def compare(theirs: float, ours: float, digits: str) -> list[str]:
    """Return both and their ratio, as cells."""
    return [format(theirs, digits), format(ours, digits), f"{ours / theirs:.2f}"]


if __name__ == "__main__":
    main()
