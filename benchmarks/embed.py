"""Images a second: `embed_source` beside a plain float32 loop over a DataLoader, both ResNet-50.

    python benchmarks/embed.py --images photos/ --count 256 --threads 2

The images are first written as JPEGs of 224 pixels to a folder of its own. The plain loop is
torchvision's: a Dataset that opens and normalises, a DataLoader with two workers, float32, no
gradient. Ours embeds that folder to a collection, files and digests included, with the same
weights, untrained. Both take turns; the cosines are between the vectors of both. With --compile
our network is compiled before, as it is once for any number of images; what that took is told.
"""

import argparse
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import torchvision
from machine import processor
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from lookalike.backbones.base import Backbone
from lookalike.data.decode import centre_square, decode
from lookalike.data.sources import open_source
from lookalike.inference import Encoder
from lookalike.neighbors.compiling import compile_encoder
from lookalike.neighbors.embedding import embed_source

SIZE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Wrapped(Backbone):
    """A network of torchvision's without its last layer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(dim=2048)
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, 2048) representations."""
        return self.network(images)


class Photos(Dataset):
    """JPEG files, as a plain loop reads them."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.prepare = v2.Compose(
            [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> Tensor:
        with Image.open(self.paths[position]) as image:
            return self.prepare(image.convert("RGB"))


def plain_loop(network: nn.Module, paths: list[Path], batch_size: int) -> np.ndarray:
    loader = DataLoader(Photos(paths), batch_size=batch_size, num_workers=2)
    with torch.inference_mode():
        return torch.cat([network(batch) for batch in loader]).numpy()


def write_jpegs(source: str, folder: Path, count: int) -> list[Path]:
    images = open_source(source)
    for number, place in enumerate(np.linspace(0, len(images) - 1, count).astype(int)):
        square = centre_square(decode(images.read(int(place)), at_least=SIZE), SIZE)
        Image.fromarray(square).save(folder / f"{number:05d}.jpg", quality=90)
    return sorted(folder.glob("*.jpg"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True)
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    network = torchvision.models.resnet50(weights=None).eval()
    network.fc = nn.Identity()
    encoder = Encoder(Wrapped(network), size=SIZE, mean=MEAN, std=STD, name="resnet50")
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision"))
    print(f"{processor()}; {versions}; {given.threads} threads")
    print(f"{given.count:,} JPEGs of {SIZE} px, ResNet-50, batches of {given.batch_size}\n")
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    settings = {"batch_size": given.batch_size}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        folder.mkdir()
        paths = write_jpegs(given.images, folder, given.count)
        if given.compile:
            began = time.perf_counter()
            encoder = compile_encoder(encoder, batch_size=given.batch_size)
            embed_source(encoder, folder, out=Path(place) / "first.vec", **settings)
            print(f"compiling and the first run took {time.perf_counter() - began:.0f} s\n")
        for run in range(given.runs):
            began = time.perf_counter()
            theirs = plain_loop(network, paths, given.batch_size)
            seconds["plain"].append(time.perf_counter() - began)
            began = time.perf_counter()
            out = Path(place) / f"{run}.vec"
            made = embed_source(encoder, folder, out=out, **settings)
            seconds["ours"].append(time.perf_counter() - began)
    record, vectors = made.collection.record, made.collection.vectors.astype(np.float32)
    cosines = (vectors * theirs).sum(1) / np.linalg.norm(theirs, axis=1)
    cosines /= np.linalg.norm(vectors, axis=1)
    print("| loop | images/s, median (best) | ratio |\n|---|---|---|")
    base = statistics.median(seconds["plain"])
    for name, spent in seconds.items():
        median = statistics.median(spent)
        rates = f"{given.count / median:.1f} ({given.count / min(spent):.1f})"
        print(f"| {name} | {rates} | {base / median:.2f} |")
    share = made.spent.waiting / made.spent.seconds
    print(f"\n{record.precision}; waited for images {share:.0%}; least cosine {cosines.min():.5f}")


if __name__ == "__main__":
    main()
