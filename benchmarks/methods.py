"""Every self-supervised method on 10,000 CIFAR-10 images: minutes of a CPU, points above untrained.

    python benchmarks/methods.py --data cifar10 --methods simclr moco byol
    python benchmarks/methods.py --data cifar10 --methods

Each method trains with the settings that `lookalike train SOURCE --limit 10000 --method NAME` would
choose, seed 0, one after the other, and is measured after its last epoch: weighted kNN (k = 15) and
a linear probe on 2,000 test images, by the 10,000 it was trained on, beside the same network before
training, and what needs no network at all: raw pixels (probed by their 128 principal components)
and HOG with colours. With no name after `--methods`, these alone. Exemplar-CNN's features are those
of all its layers, pooled in quarters, as in its paper.
"""

import argparse
import json
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from machine import processor

from lookalike.data.order import epoch_order
from lookalike.data.quarantine import Quarantine
from lookalike.data.sources import ImageSet, open_source
from lookalike.embeddings import Embeddings
from lookalike.evaluation.hog import hog_with_colours
from lookalike.evaluation.knn import knn_accuracy
from lookalike.evaluation.linear_probe import linear_probe
from lookalike.evaluation.pixels import raw_pixels
from lookalike.inference import Encoder, load_encoder
from lookalike.judging.baselines import HOG, RAW_PIXELS, describe_images, pixel_axes, project
from lookalike.papers.measures import embed_quadrants
from lookalike.runs.job import train

METHODS = (
    "simclr",
    "moco",
    "moco_v3",
    "byol",
    "simsiam",
    "npid",
    "isif",
    "align_uniform",
    "cpc",
    "exemplar",
)
TESTED = 2000


def subset(images: ImageSet, count: int, seed: int = 0) -> ImageSet:
    """Return the images that `--limit` takes."""
    return images.select(np.sort(epoch_order(len(images), seed=seed, epoch=0)[:count]))


def scores(
    encoder: Encoder, images: ImageSet, tested: ImageSet, *, quarters: bool
) -> tuple[float, float]:
    """Return the share of tested images that kNN and a linear probe get right."""
    embed = partial(embed_quadrants, encoder) if quarters else encoder.embed
    sides: list[Embeddings] = [embed(each) for each in (images, tested)]
    return knn_accuracy(*sides, k=15), linear_probe(*sides).accuracy


def simple_scores(
    images: ImageSet, tested: ImageSet, *, size: int
) -> dict[str, tuple[float, float]]:
    """Return the same of what needs no network, by its name."""
    ways = {RAW_PIXELS: raw_pixels, HOG: hog_with_colours}
    _, bank = describe_images(images, ways=ways, size=size, quarantine=Quarantine(len(images)))
    _, asked = describe_images(tested, ways=ways, size=size, quarantine=Quarantine(len(tested)))
    axes = pixel_axes(bank[RAW_PIXELS], seed=0)
    sides = {way: (bank[way], asked[way]) for way in ways}
    few = tuple(project(each, axes) for each in sides[RAW_PIXELS])
    probed = linear_probe(*few).accuracy
    return {
        "raw pixels": (knn_accuracy(*sides[RAW_PIXELS], k=15), probed),
        "PCA of pixels": (knn_accuracy(*few, k=15), probed),
        "HOG with colours": (
            knn_accuracy(*sides[HOG], k=15),
            linear_probe(*sides[HOG]).accuracy,
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="cifar10", help="images with a train and a test split")
    parser.add_argument("--methods", nargs="*", default=METHODS, choices=METHODS)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=32, help="pixels of what needs no network")
    parser.add_argument("--out", type=Path, help="folder of the runs; none: a temporary one")
    parser.add_argument("--set", default="{}", help="further arguments of train, as JSON")
    options = parser.parse_args()
    images = subset(open_source(options.data, split="train"), options.images)
    tested = subset(open_source(options.data, split="test"), TESTED)
    print(f"{processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print("| needs no network | kNN | linear |")
    print("|---|---|---|")
    for title, found in simple_scores(images, tested, size=options.size).items():
        print(f"| {title} | {found[0]:.3f} | {found[1]:.3f} |", flush=True)
    if not options.methods:
        return
    print("| method | epochs | seconds | kNN | untrained | linear | untrained | spread | rank |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.methods:
            out = (options.out or Path(scratch)) / name
            began = time.monotonic()
            settings = json.loads(options.set)
            run = train(
                options.data,
                method=name,
                limit=options.images,
                out=out,
                evaluate=False,
                quiet=True,
                **settings,
            )
            seconds = time.monotonic() - began
            encoder = load_encoder(run.path)
            measured = partial(scores, images=images, tested=tested, quarters=name == "exemplar")
            trained = measured(encoder)
            before = measured(encoder.restarted(seed=run.config["seed"]))
            rows = (json.loads(row) for row in (run.path / "metrics.jsonl").open())
            last = [row for row in rows if row["kind"] == "monitor"][-1]
            print(
                f"| {name} | {run.config['epochs']} | {seconds:.0f} | {trained[0]:.3f} "
                f"| {before[0]:.3f} | {trained[1]:.3f} | {before[1]:.3f} "
                f"| {last['spread']:.2f} | {last['rankme']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
