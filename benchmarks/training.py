"""SimCLR on a CPU beside lightly's: twice its images a second, thrice with the demo's network.

    pip install lookalike[benchmarks]
    python benchmarks/training.py --data cifar10/train.npz --parts

Both sides train the same network on batches of the same images, views included: lightly's as the
PyTorch example of its documentation (PIL images, SimCLRTransform without blur, a DataLoader with
2 workers, NTXentLoss, SGD, float32), ours as `lookalike train`. Every measurement is a process of
its own; the sides take turns, and medians are shown. --parts also measures the ways between the
two, each of which takes one thing more from us: what it adds is its ratio to the row above.
"""

import argparse
import itertools
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import torch
from machine import processor
from PIL import Image
from torch import Tensor, nn

from lookalike.backbones.convolution import Conv3x3
from lookalike.backbones.resnet import ResNet, resnet18
from lookalike.data.resident import Resident, load_resident
from lookalike.data.sources import open_source
from lookalike.methods.base import Batch
from lookalike.methods.simclr import SimCLR
from lookalike.training.allocator import keep_freed_memory
from lookalike.training.batches import ResidentBatches, Viewing
from lookalike.training.distributed import World
from lookalike.training.optim import sgd
from lookalike.views.plans import SIMCLR_SMALL

WAYS = {
    "lightly": "lightly's loop",
    "views": "+ our views, in batch, of images in memory",
    "method": "+ our head, NT-Xent and optimizer",
    "memory": "+ channels last, memory kept from step to step",
    "lookalike": "+ our convolutions and precision: our loop",
}
"""What each way of training takes from us: what it names, and all that those above it name."""

IMAGES = 10_000
"""How many are used at most; they are decoded once in every process."""


class Setting(NamedTuple):
    """A network, its views, and how many steps are measured after how many that are not."""

    title: str
    width: int
    stem: str
    size: int
    batch_size: int
    warmup: int
    steps: int


SETTINGS = {
    "cifar": Setting("CIFAR ResNet-18", 64, "cifar", 32, batch_size=128, warmup=2, steps=4),
    "small": Setting("the demo's network", 16, "strided", 32, batch_size=64, warmup=20, steps=80),
}

Step = Callable[[Sequence[Tensor]], None]


def measure(way: str, setting: Setting, data: str, precision: str) -> float:
    """Return the images a second of one way of training."""
    warnings.simplefilter("ignore")  # torchvision's, of what lightly uses
    torch.manual_seed(0)
    images = load(data)
    ours = list(WAYS)[: list(WAYS).index(way) + 1]
    if "memory" in ours:
        keep_freed_memory()
    network = resnet18(width=setting.width, stem=setting.stem, zero_init_residual=False)
    if "lookalike" not in ours:
        take_torchs_convolutions(network)
        precision = "float32"
    layout = torch.channels_last if "memory" in ours else torch.contiguous_format
    network = network.to(memory_format=layout)
    make_batches = our_batches if "views" in ours else lightlys_batches
    step = our_step(network, precision) if "method" in ours else lightlys_step(network)
    began = 0.0
    count = setting.warmup + setting.steps
    batches = make_batches(images, setting, count)
    for number, views in enumerate(itertools.islice(batches, count)):
        if number == setting.warmup:
            began = time.perf_counter()
        step([view.contiguous(memory_format=layout) for view in views])
    return setting.steps * setting.batch_size / (time.perf_counter() - began)


def load(data: str) -> Resident:
    images = open_source(data)
    return load_resident(images.select(range(min(IMAGES, len(images)))))


def take_torchs_convolutions(network: ResNet) -> None:
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, Conv3x3):
                sizes = (child.in_channels, child.out_channels, child.kernel_size, child.stride)
                setattr(parent, name, nn.Conv2d(*sizes, padding=child.padding, bias=False))


def lightlys_batches(images: Resident, setting: Setting, count: int) -> Iterator[Sequence[Tensor]]:
    from lightly.transforms import SimCLRTransform

    pictures = [
        Image.fromarray(np.ascontiguousarray(pixels[:, :height, :width].transpose(1, 2, 0)))
        for pixels, (height, width) in zip(images.pixels, images.sizes, strict=True)
    ]
    transform = SimCLRTransform(input_size=setting.size, gaussian_blur=0.0)
    loader = torch.utils.data.DataLoader(
        Pictures(
            pictures, transform, length=setting.batch_size * count
        ),  # one epoch: workers start once
        batch_size=setting.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=2,
    )
    for views, _ in loader:
        yield views


class Pictures(torch.utils.data.Dataset):
    """`length` items, over and over the same pictures."""

    def __init__(
        self,
        pictures: list[Image.Image],
        transform: Callable[[Image.Image], list[Tensor]],
        *,
        length: int,
    ) -> None:
        self.pictures = pictures
        self.transform = transform
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> tuple[list[Tensor], int]:
        return self.transform(self.pictures[position % len(self.pictures)]), 0


def lightlys_step(network: ResNet) -> Step:
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead

    model = nn.Sequential(network, SimCLRProjectionHead(network.dim, network.dim, 128))
    criterion = NTXentLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06)

    def step(views: Sequence[Tensor]) -> None:
        z0, z1 = model(views[0]), model(views[1])
        loss = criterion(z0, z1)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def our_batches(images: Resident, setting: Setting, count: int) -> Iterator[Sequence[Tensor]]:
    viewing = Viewing(
        plan=SIMCLR_SMALL,
        size=setting.size,
        batch_size=setting.batch_size,
        seed=0,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        world=World(0, 1, torch.device("cpu")),
    )
    labels = np.full(len(images.pixels), -1)
    batches = ResidentBatches(images, labels, viewing)
    for epoch in range(count):
        for batch in batches.epoch(epoch, start=0, stop=batches.count // setting.batch_size):
            yield batch.views


def our_step(network: ResNet, precision: str) -> Step:
    method = SimCLR(network)
    optimizer = sgd(method, lr=0.06)
    dtype = getattr(torch, precision)

    def step(views: Sequence[Tensor]) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            unknown = torch.full((len(views[0]),), -1)
            loss = method(Batch(tuple(views), unknown, unknown)).loss
        loss.backward()
        optimizer.step()

    return step


def alone(function: Callable[..., float], *arguments: object) -> float:
    """Return what a function returns in a fresh process, which may have workers of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def report(setting: Setting, ways: list[str], speeds: dict[str, list[float]]) -> None:
    print("| training | images/s | lowest to highest | to the row above | to lightly |")
    print("|---|---|---|---|---|")
    middles = [statistics.median(speeds[way]) for way in ways]
    for number, way in enumerate(ways):
        spread = f"{min(speeds[way]):.1f} to {max(speeds[way]):.1f}"
        above = f"{middles[number] / middles[number - 1]:.2f}" if number > 0 else ""
        print(
            f"| {WAYS[way]} | {middles[number]:.1f} | {spread} | {above} "
            f"| {middles[number] / middles[0]:.2f} |"
        )
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="hands", help="any source of images")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--rounds", type=int, default=3, help="times that each side takes its turn")
    parser.add_argument("--parts", action="store_true", help="measure the ways between, too")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="of ours")
    given = parser.parse_args()
    amx = torch.cpu._is_amx_tile_supported()
    precision = given.precision or ("bfloat16" if amx else "float32")
    print(f"{processor()}; torch {torch.__version__}, lightly {version('lightly')}")
    print(
        f"{given.data}, {torch.get_num_threads()} threads, "
        f"ours in {precision}; medians of {given.rounds} rounds\n"
    )
    ways = list(WAYS) if given.parts else ["lightly", "lookalike"]
    for setting in (SETTINGS[name] for name in given.settings):
        print(
            f"{setting.title}: {setting.width} channels, {setting.stem} stem, views of "
            f"{setting.size} px, batches of {setting.batch_size}:\n",
            flush=True,
        )
        speeds: dict[str, list[float]] = {way: [] for way in ways}
        for way in ways * given.rounds:
            speeds[way].append(alone(measure, way, setting, given.data, precision))
        report(setting, ways, speeds)


if __name__ == "__main__":
    main()
