"""The first minute: encoders that are solved for, beside what needs no training at all.

    OMP_NUM_THREADS=1 python benchmarks/first_minute.py --data FOLDER
    OMP_NUM_THREADS=1 python benchmarks/first_minute.py --data FOLDER --rows flowers --seeds 0

FOLDER holds cifar10/{train,test}.npz, flowers/{train,test}/, imagenette/{train,val}/,
omniglot/{train,test}.npz and hands/{train,test}/; rows whose images are not there are left out and
named. Each row learns from the training images with the settings that `lookalike train` chooses,
but for those that are printed, and is asked about images that it has not seen: by kNN of those it
learnt from, or by recall at 1 among classes that were never seen. Seconds are of the processor, for
learning alone: reading the images is counted, judging them is not. The last row is the floor: the
multiply-adds of a dictionary of 128 patches at 32 px, as one matrix product.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import processor

from lookalike.backbones.build import build_backbone
from lookalike.data.sources import ImageSet, open_source
from lookalike.inference import load_encoder
from lookalike.judging.scorecard import score
from lookalike.runs.job import train
from lookalike.runs.readable import images_trained_on

BASELINES = ("raw_pixels", "pca_pixels", "hog", "untrained")


@dataclass(frozen=True)
class Row:
    """A set to learn from and one to be asked about.

    asked_by: a field of `Measures`.
    k: neighbours that vote.
    limit: images to learn from, and to ask about; none: all.
    settings: of `train`, besides what it chooses.
    """

    learn: str
    ask: str
    asked_by: str = "knn_top1"
    k: int = 15
    limit: tuple[int | None, int | None] = (None, None)
    settings: dict[str, Any] = field(default_factory=dict)


LETTERS = {
    "views_arguments": {
        **{"flip": 0.0, "area": (0.7, 1.0), "grey": 0.0},
        **{"rotation": 15.0, "translation": 0.08, "scale": (0.85, 1.18)},
    },
    "method_arguments": {"cells": 3, "filters": 64, "power": 0.0, "dim": 64},
    "size": 32,
}
QUICK = {
    "method_arguments": {
        **{"patches": (6,), "filters": 64, "patch_count": 50_000, "view_images": 2000}
    }
}
ROWS = {
    "cifar10 10,000, quick": Row(
        "cifar10/train.npz", "cifar10/test.npz", limit=(10_000, 2_000), settings=QUICK
    ),
    "cifar10 10,000": Row("cifar10/train.npz", "cifar10/test.npz", limit=(10_000, 2_000)),
    "cifar10 50,000": Row(
        "cifar10/train.npz",
        "cifar10/test.npz",
        k=50,
        settings={"method_arguments": {"filters": 256, "view_images": 10_000, "dim": 256}},
    ),
    "flowers": Row("flowers/train", "flowers/test", "recall_at_1"),
    "flowers, with labels": Row(
        "flowers/train", "flowers/test", "recall_at_1", settings={"method": "class_discriminants"}
    ),
    "imagenette": Row("imagenette/train", "imagenette/val", k=5),
    "hands": Row("hands/train", "hands/test"),
    "omniglot": Row("omniglot/train.npz", "omniglot/test.npz", "recall_at_1", settings=LETTERS),
}


def some(images: ImageSet, count: int | None) -> ImageSet:
    """Return the first images, or all."""
    return images if count is None else images.select(np.arange(min(count, len(images))))


def measure(row: Row, folder: Path, seed: int) -> tuple[float, dict[str, float], dict[str, float]]:
    """Return the seconds of learning, and two numbers of the encoder and each baseline."""
    with tempfile.TemporaryDirectory() as out:
        began = time.process_time()
        run = train(
            folder / row.learn,
            out=Path(out) / "run",
            limit=row.limit[0],
            seed=seed,
            device="cpu",
            evaluate=False,
            quiet=True,
            **{"method": "view_discriminants", **row.settings},
        )
        seconds = time.process_time() - began
        encoder = load_encoder(run.path, device="cpu")
        asked: ImageSet | Path = folder / row.ask  # a split of its own: each image asks the others
        if row.limit[1] is not None:
            asked = some(open_source(asked), row.limit[1])
        bank = None
        if row.asked_by == "knn_top1":
            bank = images_trained_on(run.config)
        card = score(encoder, asked, bank=bank, k=row.k, seed=0)
    ways = {"encoder": card.encoder, **card.baselines}
    numbers = {way: getattr(found, row.asked_by) for way, found in ways.items()}
    recall = {way: found.recall_at_1 for way, found in ways.items()}
    return seconds, numbers, recall


def floor() -> tuple[float, float, float]:
    """Return milliseconds an image: of the bare product, of the dictionary; and their ratio."""
    network = build_backbone("patch_dictionary", filters=128, patches=(6,)).eval()
    images = torch.rand(256, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    rows, filters = torch.rand(8 * 27 * 27, 108), torch.rand(108, 128)
    products, dictionaries = [], []
    with torch.inference_mode():
        for _ in range(9):
            began = time.process_time()
            for _ in range(256 // 8):
                rows @ filters
            products.append((time.process_time() - began) / 256 * 1000)
            began = time.process_time()
            network(images)
            dictionaries.append((time.process_time() - began) / 256 * 1000)
    ratios = [whole / bare for whole, bare in zip(dictionaries, products, strict=True)]
    return statistics.median(products), statistics.median(dictionaries), statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    asked = parser.parse_args()
    print(f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("| images | asked by | seconds | solved | raw pixels | PCA | HOG | untrained | R@1 |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for name in asked.rows:
        row = ROWS[name]
        if not (asked.data / row.learn).exists():
            print(f"left out: {name}, for there is no {row.learn}")
            continue
        found = [measure(row, asked.data, seed) for seed in asked.seeds]
        seconds = statistics.median(each[0] for each in found)
        scores = [each[1]["encoder"] for each in found]
        spread = f" ± {statistics.stdev(scores):.3f}" if len(scores) > 1 else ""
        others = " | ".join(f"{found[0][1][way]:.3f}" for way in BASELINES)
        recall = statistics.mean(each[2]["encoder"] for each in found)
        by = "recall at 1" if row.asked_by == "recall_at_1" else f"kNN {row.k}"
        print(
            f"| {name} | {by} | {seconds:.1f} | {statistics.mean(scores):.3f}{spread} | {others} "
            f"| {recall:.3f} |",
            flush=True,
        )
    bare, whole, ratio = floor()
    print(f"\nfloor: product {bare:.3f} ms an image, dictionary {whole:.3f} ms: {ratio:.2f} times")


if __name__ == "__main__":
    main()
