"""RKD's angles beside their direct form: 512 rows of width 2048 in less than 100 MB.

    python benchmarks/rkd.py --threads 1

Forward and backward of `rkd_angle_loss`, and of the same loss from unit differences: N x N x width
of them, and N x N x N cosines, at once. Both run in turn in one process; times are medians. Extra
memory is the peak of a process of its own (Linux) above what it held before the call. The error is
relative to the direct form in float64, of the value or the gradient, whichever is larger; it is
taken at up to 128 rows. Above --direct-up-to rows ours runs alone.
"""

import argparse
import re
import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from machine import processor
from torch import Tensor

from lookalike.losses.rkd import rkd_angle_loss

SIDES = ("direct", "lookalike")


def direct(student: Tensor, teacher: Tensor) -> Tensor:
    count = len(student)
    total = F.smooth_l1_loss(cosines(student), cosines(teacher), reduction="sum")
    return total / (count * (count - 1) * (count - 2))


def cosines(rows: Tensor) -> Tensor:
    units = F.normalize(rows - rows[:, None], dim=2)  # (N, N, width)
    return units @ units.transpose(1, 2)  # (N, N, N)


def step(side: str, student: Tensor, teacher: Tensor) -> Tensor:
    student.grad = None
    value = (rkd_angle_loss if side == "lookalike" else direct)(student, teacher)
    value.backward()
    return value.detach()


def batch(count: int, width: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    teacher = torch.randn(count, width)
    return (teacher + torch.randn(count, width)).requires_grad_(), teacher


def measure_time(
    sides: tuple[str, ...], count: int, width: int, threads: int, repeats: int
) -> list[float]:
    """Return each side's median seconds."""
    torch.set_num_threads(threads)
    data = batch(count, width)
    seconds: list[list[float]] = [[] for _ in sides]
    for repeat in range(repeats + 1):
        for side, taken in zip(sides, seconds, strict=True):
            start = time.perf_counter()
            step(side, *data)
            if repeat > 0:  # the first warms up
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


def measure_memory(side: str, count: int, width: int, threads: int) -> float:
    """Return the MB by which the process grew at most."""
    torch.set_num_threads(threads)
    data = batch(count, width)
    step(side, *batch(8, 8))  # loads what is loaded lazily
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    step(side, *data)
    return (resident("VmHWM") - before) / 1024


def resident(field: str) -> int:
    return int(re.search(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])


def measure_error(count: int, width: int) -> float:
    """Return the larger of the relative errors of value and gradient."""
    single, teacher = batch(count, width)
    double = single.detach().double().requires_grad_()
    got, want = step("lookalike", single, teacher), step("direct", double, teacher.double())
    gradient = (single.grad - double.grad).norm() / double.grad.norm()
    return max((got / want - 1).abs().item(), gradient.item())


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a fresh process."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--direct-up-to", type=int, default=256, help="it needs N^2 x width memory")
    given = parser.parse_args()
    print(f"{processor()}; torch {torch.__version__}; {given.threads} threads")
    print(f"N rows x {given.width}, forward + backward, median of {given.repeats}\n")
    print("| N | direct s | ours s | ratio | direct MB | ours MB | ratio | error |")
    print("|---|---|---|---|---|---|---|---|")
    for count in given.sizes:
        sides = SIDES if count <= given.direct_up_to else SIDES[1:]
        shape = (count, given.width, given.threads)
        seconds = alone(measure_time, sides, *shape, given.repeats)
        memory = [alone(measure_memory, side, *shape) for side in sides]
        error = f"{alone(measure_error, count, given.width):.0e}" if count <= 128 else "-"
        cells = [str(count), *compare(seconds, ".3f"), *compare(memory, ".0f"), error]
        print("|", " | ".join(cells), "|", flush=True)


def compare(values: list[float], digits: str) -> list[str]:
    """Return their value, ours, and how many times ours goes into theirs, as cells."""
    *theirs, ours = values
    if not theirs:
        return ["-", format(ours, digits), "-"]
    return [format(theirs[0], digits), format(ours, digits), f"1/{theirs[0] / ours:.0f}"]


if __name__ == "__main__":
    main()
