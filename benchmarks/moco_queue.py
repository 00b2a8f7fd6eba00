"""MoCo's loss with a queue of 65,536 keys beside lightly's: time, and memory beyond the queue.

    pip install lookalike[benchmarks]
    python benchmarks/moco_queue.py

A step is InfoNCE of 256 queries, forward and backward, and the keys' way into the queue; width 128.
Both sides run in turn in one process for the times, which are medians; extra memory is the peak of
a process of its own (Linux) above what it held before the step. The queue itself is 33.6 MB: a copy
of it would show as one allocation of that size, so the largest one of a step is printed as well.
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

from lookalike.losses.info_nce import info_nce_loss
from lookalike.nn.queue import Queue
from lookalike.pairwise.similarity import unit_rows

KEYS, WIDTH, TEMPERATURE = 65_536, 128, 0.2
SIDES = ("lightly", "lookalike")


def step_of(side: str) -> Callable[[Tensor, Tensor], None]:
    if side == "lightly":
        from lightly.loss import NTXentLoss

        loss = NTXentLoss(temperature=TEMPERATURE, memory_bank_size=(KEYS, WIDTH))
        return lambda query, key: loss(query, key).backward()
    queue = Queue(KEYS, WIDTH)

    def step(query: Tensor, key: Tensor) -> None:
        info_nce_loss(query, key, queue.rows, temperature=TEMPERATURE).backward()
        queue.enqueue(unit_rows(key))

    return step


def rows(batch: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    query = torch.randn(batch, WIDTH)
    return query.requires_grad_(), query.detach() + torch.randn(batch, WIDTH)


def measure_time(batch: int, repeats: int) -> list[float]:
    """Return each side's median seconds."""
    steps, pair = [step_of(side) for side in SIDES], rows(batch)
    seconds: list[list[float]] = [[] for _ in SIDES]
    for repeat in range(repeats + 1):
        for step, taken in zip(steps, seconds, strict=True):
            start = time.perf_counter()
            step(*pair)
            if repeat > 0:  # the first warms up
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


def measure_memory(side: str, batch: int) -> float:
    """Return the MB by which the process grew at most in a step."""
    step = step_of(side)
    step(*rows(8))  # makes the queue, and loads what is loaded lazily
    pair = rows(batch)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    step(*pair)
    return (resident("VmHWM") - before) / 1024


def measure_largest(side: str, batch: int) -> float:
    """Return the MB of the largest tensor that a step allocates."""
    step, pair = step_of(side), rows(batch)
    step(*pair)
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, profile_memory=True) as profile:
        step(*pair)
    return max(event.self_cpu_memory_usage for event in profile.events()) / 1e6


def resident(field: str) -> int:
    return int(re.search(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a fresh process."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print(f"{processor()}; torch {torch.__version__}, lightly {version('lightly')}")
    print(f"{given.batch} queries, {KEYS:,} keys x {WIDTH}, median of {given.repeats}\n")
    seconds = alone(measure_time, given.batch, given.repeats)
    memory = [alone(measure_memory, side, given.batch) for side in SIDES]
    largest = [alone(measure_largest, side, given.batch) for side in SIDES]
    print("| | lightly | ours | ratio |")
    print("|---|---|---|---|")
    for name, both, digits in (
        ("seconds", seconds, ".3f"),
        ("largest tensor MB", largest, ".1f"),
        ("extra MB", memory, ".0f"),
    ):
        theirs, ours = (format(value, digits) for value in both)
        print(f"| {name} | {theirs} | {ours} | {both[1] / both[0]:.2f} |")


if __name__ == "__main__":
    main()
