"""NT-Xent beside lightly's: at 2 x 4096 rows at most 0.15 of its time and 0.05 of its extra memory.

    pip install lookalike[benchmarks]
    python benchmarks/nt_xent.py --threads 1 2

Both losses run forward and backward in turn in one process, on the same rows of width 128; times
are medians. Extra memory is the peak of a process of its own (Linux) above what it held before the
call. The error is relative to the dense formula in float64, of the value or the gradient, whichever
is larger. Where lightly would need too much memory ours runs alone.
"""

import argparse
import math
import re
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from machine import processor
from torch import Tensor

from lookalike.losses.nt_xent import nt_xent_loss

WIDTH, TEMPERATURE = 128, 0.1
SIDES = ("lightly", "lookalike")


def loss_of(side: str) -> Callable[[Tensor, Tensor], Tensor]:
    if side == "lightly":
        from lightly.loss import NTXentLoss

        return NTXentLoss(temperature=TEMPERATURE)
    return lambda z1, z2: nt_xent_loss(z1, z2, temperature=TEMPERATURE)


def views(images: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    first = torch.randn(images, WIDTH)
    second = first + torch.randn(images, WIDTH)
    return first.requires_grad_(), second.requires_grad_()


def step(loss: Callable[[Tensor, Tensor], Tensor], z1: Tensor, z2: Tensor) -> Tensor:
    z1.grad = z2.grad = None
    value = loss(z1, z2)
    value.backward()
    return value.detach()


def measure_time(sides: tuple[str, ...], images: int, threads: int, repeats: int) -> list[float]:
    """Return each side's median seconds."""
    torch.set_num_threads(threads)
    losses, pair = [loss_of(side) for side in sides], views(images)
    seconds: list[list[float]] = [[] for _ in sides]
    for repeat in range(repeats + 1):
        for loss, taken in zip(losses, seconds, strict=True):
            start = time.perf_counter()
            step(loss, *pair)
            if repeat > 0:  # the first warms up
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


def measure_memory(side: str, images: int, threads: int) -> float:
    """Return the MB by which the process grew at most."""
    torch.set_num_threads(threads)
    loss, pair = loss_of(side), views(images)
    step(loss, *views(8))  # loads what is loaded lazily
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    step(loss, *pair)
    return (resident("VmHWM") - before) / 1024


def resident(field: str) -> int:
    return int(re.search(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])


def measure_error(images: int) -> tuple[float, float]:
    """Return the relative errors of value and gradient."""
    pair = views(images)
    value = step(loss_of("lookalike"), *pair)
    exact = [z.detach().double().requires_grad_() for z in pair]
    z = F.normalize(torch.cat(exact), dim=1)
    logits = (z @ z.T / TEMPERATURE).fill_diagonal_(-math.inf)
    dense = F.cross_entropy(logits, torch.arange(len(z)).roll(images))
    dense.backward()
    got, want = (torch.cat([z.grad for z in both]) for both in (pair, exact))
    return (value / dense - 1).abs().item(), ((got - want).norm() / want.norm()).item()


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a fresh process."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096, 16384])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--lightly-up-to", type=int, default=4096, help="images; it needs N^2 memory"
    )
    given = parser.parse_args()
    print(f"{processor()}; torch {torch.__version__}, lightly {version('lightly')}")
    print(f"2 x N rows x {WIDTH}, forward + backward, median of {given.repeats}\n")
    print("| N | threads | lightly s | ours s | ratio | lightly MB | ours MB | ratio | error |")
    print("|---|---|---|---|---|---|---|---|---|")
    for images in given.sizes:
        sides = SIDES if images <= given.lightly_up_to else SIDES[1:]
        error = f"{max(alone(measure_error, images)):.0e}" if len(sides) == 2 else "-"
        for threads in given.threads:
            seconds = alone(measure_time, sides, images, threads, given.repeats)
            memory = [alone(measure_memory, side, images, threads) for side in sides]
            cells = [*compare(seconds, ".3f"), *compare(memory, ".0f"), error]
            print("|", " | ".join([str(images), str(threads), *cells]), "|", flush=True)


def compare(values: list[float], digits: str) -> list[str]:
    """Return lightly's value, ours and their ratio, as cells."""
    *theirs, ours = values
    if not theirs:
        return ["-", format(ours, digits), "-"]
    return [format(theirs[0], digits), format(ours, digits), f"{ours / theirs[0]:.3f}"]


if __name__ == "__main__":
    main()
