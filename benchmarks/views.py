"""Two SimCLR views of 32 px on one core of a CPU: at least ten times as fast as lightly's.

    pip install lookalike[benchmarks]
    python benchmarks/views.py

Both sides make two batches of views from the same images, which are in memory, in turn in one
process: lightly's SimCLRTransform image by image from PIL images, with the batch stacked in the
end, ours from a uint8 array as `lookalike train` does. Times are medians. Freed memory stays with
the process, as it does in training, for both sides.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from machine import processor
from PIL import Image
from torch import Tensor

from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.training.allocator import keep_freed_memory
from lookalike.views.make import make_views
from lookalike.views.plans import SIMCLR_SMALL

Side = Callable[[int], tuple[Tensor, ...]]
"""Makes the views of one epoch."""


def lightlys(pixels: Tensor, *, size: int, blur: float) -> Side:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's, of what lightly uses
        from lightly.transforms import SimCLRTransform
    transform = SimCLRTransform(
        input_size=size, cj_strength=0.5, gaussian_blur=blur, normalize=None
    )
    pictures = [Image.fromarray(image) for image in pixels.permute(0, 2, 3, 1).numpy()]

    def views(epoch: int) -> tuple[Tensor, ...]:
        made = zip(*(transform(picture) for picture in pictures), strict=True)
        return tuple(torch.stack(view) for view in made)

    return views


def ours(pixels: Tensor, *, size: int, blur: float) -> Side:
    plan = SIMCLR_SMALL.with_(blur=blur)
    sizes = torch.tensor([pixels.shape[-2:]]).repeat(len(pixels), 1)
    index = torch.arange(len(pixels))

    def views(epoch: int) -> tuple[Tensor, ...]:
        return make_views(plan, pixels, sizes, index, size=size, seed=0, epoch=epoch)

    return views


def measure(sides: tuple[Side, ...], rounds: int) -> list[list[float]]:
    """Return the seconds that each side took in each round."""
    seconds: list[list[float]] = [[] for _ in sides]
    for epoch in range(rounds + 1):
        for side, taken in zip(sides, seconds, strict=True):
            start = time.perf_counter()
            side(epoch)
            if epoch > 0:  # the first warms up
                taken.append(time.perf_counter() - start)
    return seconds


def spread(numbers: list[float]) -> str:
    return f"{statistics.median(numbers):.1f} ({min(numbers):.1f} to {max(numbers):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="hands", help="any source of images")
    parser.add_argument("--size", type=int, default=32, help="side of images and views")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=9, help="times that each side takes its turn")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    images = open_source(given.data)
    squares, _ = load_squares(images.select(np.arange(given.batch_size)), given.size)
    pixels = torch.from_numpy(squares)
    packages = ("torch", "torchvision", "pillow", "lightly")
    print(f"{processor()}; {', '.join(f'{name} {version(name)}' for name in packages)}")
    print(
        f"{len(pixels)} images of {given.data} at {given.size} px, two views each, one thread, "
        f"median of {given.rounds} (fastest to slowest)\n"
    )
    print("| views | lightly ms | ours ms | lightly images/s | ours images/s | ratio |")
    print("|---|---|---|---|---|---|")
    for name, blur in (("SimCLR's for CIFAR", 0.0), ("and with blur", 0.5)):
        sides = [make(pixels, size=given.size, blur=blur) for make in (lightlys, ours)]
        seconds = measure(tuple(sides), given.rounds)
        times = [spread([1e3 * second for second in taken]) for taken in seconds]
        middles = [statistics.median(taken) for taken in seconds]
        speeds = [f"{len(pixels) / middle:.0f}" for middle in middles]
        ratio = f"{middles[0] / middles[1]:.1f}"
        print("|", " | ".join([name, *times, *speeds, ratio]), "|", flush=True)


if __name__ == "__main__":
    main()
