"""Triplets beside pytorch-metric-learning's: all, at most 1/50 of its time; semi-hard, 1/40.

    pip install lookalike[benchmarks]
    python benchmarks/triplet.py --threads 1

N rows of width 128, K of each class. All triplets: forward and backward of the hinge of 0.05 on
Euclidean distances of unit rows, that library's `TripletMarginLoss`; extra memory is to be at most
1/50 too. Semi-hard: its `TripletMarginMiner` alone, which looks for every semi-hard triplet, beside
our whole loss, forward and backward, which takes the nearest negative of each pair.

Both sides run in turn in one process; times are medians. Extra memory is the peak of a process of
its own (Linux) above what it held before the call. The error is ours relative to that library's
loss in float64, of the value or the gradient, whichever is larger. Above --theirs-up-to rows, where
it would loop in Python, ours runs alone.
"""

import argparse
import re
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from machine import processor
from torch import Tensor

from lookalike.losses.triplet import triplet_loss

WIDTH, MARGIN = 128, {"batch_all": 0.05, "semi_hard": 0.2}
SIDES = ("pytorch-metric-learning", "lookalike")

Action = Callable[[Tensor, Tensor], Tensor]


def action_of(side: str, mining: str) -> Action:
    """Return what is measured: of rows and labels, with the gradient in the rows."""
    margin = MARGIN[mining]
    if side == "lookalike":
        return lambda rows, labels: differentiate(
            triplet_loss(
                rows, labels, margin=margin, mining=mining, normalise=True, reduction="mean_nonzero"
            ),
            rows,
        )
    if mining == "semi_hard":
        from pytorch_metric_learning.miners import TripletMarginMiner

        miner = TripletMarginMiner(margin=margin, type_of_triplets="semihard")
        return lambda rows, labels: miner(rows, labels)[0]
    from pytorch_metric_learning.losses import TripletMarginLoss

    loss = TripletMarginLoss(margin=margin)
    return lambda rows, labels: differentiate(loss(rows, labels), rows)


def differentiate(loss: Tensor, rows: Tensor) -> Tensor:
    rows.grad = None
    loss.backward()
    return loss.detach()


def batch(count: int, each: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    labels = torch.arange(count) // each
    rows = torch.randn(count // each + 1, WIDTH)[labels] + 2 * torch.randn(count, WIDTH)
    return rows.requires_grad_(), labels


def measure_time(
    sides: tuple[str, ...], mining: str, count: int, each: int, threads: int, repeats: int
) -> list[float]:
    """Return each side's median seconds."""
    torch.set_num_threads(threads)
    actions, data = [action_of(side, mining) for side in sides], batch(count, each)
    seconds: list[list[float]] = [[] for _ in sides]
    for repeat in range(repeats + 1):
        for action, taken in zip(actions, seconds, strict=True):
            start = time.perf_counter()
            action(*data)
            if repeat > 0:  # the first warms up
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


def measure_memory(side: str, mining: str, count: int, each: int, threads: int) -> float:
    """Return the MB by which the process grew at most."""
    torch.set_num_threads(threads)
    action, data = action_of(side, mining), batch(count, each)
    action(*batch(8, 2))  # loads what is loaded lazily
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    action(*data)
    return (resident("VmHWM") - before) / 1024


def resident(field: str) -> int:
    return int(re.search(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])


def measure_error(count: int, each: int) -> float:
    """Return the larger of the relative errors of value and gradient, over all triplets."""
    single, labels = batch(count, each)
    double = single.detach().double().requires_grad_()
    got, want = (
        action_of(side, "batch_all")(rows, labels)
        for side, rows in (("lookalike", single), (SIDES[0], double))
    )
    value = (got / want - 1).abs()
    gradient = (single.grad - double.grad).norm() / double.grad.norm()
    return max(value.item(), gradient.item())


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a fresh process."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 8192])
    parser.add_argument("--each", type=int, nargs="+", default=[4], help="K, rows of a class")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--theirs-up-to", type=int, default=1024, help="it needs N^3 memory")
    given = parser.parse_args()
    theirs = f"{SIDES[0]} {version(SIDES[0])}"
    print(f"{processor()}; torch {torch.__version__}, {theirs}; {given.threads} threads")
    print(f"N rows x {WIDTH}, K of a class, median of {given.repeats}\n")
    print("| mining | N | K | theirs s | ours s | ratio | theirs MB | ours MB | ratio | error |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for count in given.sizes:
        for each in given.each:
            for mining in MARGIN:
                print_row(mining, count, each, given)


def print_row(mining: str, count: int, each: int, given: argparse.Namespace) -> None:
    sides = SIDES if count <= given.theirs_up_to else SIDES[1:]
    shape = (mining, count, each, given.threads)
    seconds = alone(measure_time, sides, *shape, given.repeats)
    memory = [alone(measure_memory, side, *shape) for side in sides]
    exact = len(sides) == 2 and mining == "batch_all"
    error = f"{alone(measure_error, count, each):.0e}" if exact else "-"
    cells = [mining, str(count), str(each), *compare(seconds, ".4f"), *compare(memory, ".0f")]
    print("|", " | ".join([*cells, error]), "|", flush=True)


def compare(values: list[float], digits: str) -> list[str]:
    """Return their value, ours, and how many times ours goes into theirs, as cells."""
    *theirs, ours = values
    if not theirs:
        return ["-", format(ours, digits), "-"]
    return [format(theirs[0], digits), format(ours, digits), f"1/{theirs[0] / ours:.0f}"]


if __name__ == "__main__":
    main()
