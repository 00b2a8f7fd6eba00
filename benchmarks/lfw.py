"""LFW's folds, each judged by an encoder that has seen nobody in it: accuracy, ROC, minutes.

    python benchmarks/lfw.py --data lfw/ --pairs lfw/pairs.txt

For each fold one encoder is trained from scratch with `lookalike train --method metric --loss
supcon` on the photos of all people that are in none of its pairs and have two photos at least. It
scores the pairs of its fold alone, by the sum of what it says of a photo and of its mirror image; a
fold's threshold comes from the scores of the other folds, by their own encoders. Raw pixels and HOG
with colours stand beside it. With --limit-folds, the first so many folds only.
"""

import argparse
import csv
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from machine import processor

from lookalike.data.pairs import Pairs, read_pairs
from lookalike.data.resident import load_squares
from lookalike.data.sources import ImageSet, open_source
from lookalike.evaluation.hog import hog_with_colours
from lookalike.evaluation.verification import Verification, verification
from lookalike.inference import Encoder, load_encoder
from lookalike.pairwise.similarity import unit_rows
from lookalike.runs.job import train


def person(name: str) -> str:
    """Return whom an image shows: its folder."""
    return Path(name).parent.name


def others(images: ImageSet, pairs: Pairs, fold: int) -> list[str]:
    """Return the images of people who are in no pair of a fold and have two images at least."""
    there = pairs.fold == fold
    asked = {person(images.ids[row]) for row in (*pairs.first[there], *pairs.second[there])}
    left = [name for name in images.ids if person(name) not in asked]
    counts = Counter(map(person, left))
    return [name for name in left if counts[person(name)] > 1]


def cosines(vectors: torch.Tensor, pairs: Pairs) -> np.ndarray:
    """Return (P,) cosines of pairs of unit rows."""
    first, second = (torch.from_numpy(side) for side in (pairs.first, pairs.second))
    return (vectors[first] * vectors[second]).sum(1).double().numpy()


def both_ways(encoder: Encoder, squares: torch.Tensor) -> torch.Tensor:
    """Return (N, D) unit rows: what an encoder says of (N, 3, H, W) photos and of their mirrors."""
    plain, mirrored = (unit_rows(encoder.represent(side)) for side in (squares, squares.flip(3)))
    return unit_rows(plain + mirrored)


def row(name: str, found: Verification) -> str:
    """Return a row of the table."""
    tar = {
        point.far: "-" if point.tar is None else f"{point.tar:.3f}" for point in found.tar_at_far
    }
    folds = " ".join(f"{share:.3f}" for share in found.fold_accuracies)
    return (
        f"| {name} | {found.accuracy:.3f} ± {found.accuracy_se:.3f} | {folds} | {found.auc:.3f} "
        f"| {found.eer:.3f} | {tar[0.1]} | {tar[0.01]} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of folders of people")
    parser.add_argument("--pairs", type=Path, required=True, help="LFW's list of pairs")
    parser.add_argument("--out", type=Path, help="folder of the runs; none: a temporary one")
    parser.add_argument("--epochs", type=int, default=44)
    parser.add_argument("--limit-folds", type=int)
    parser.add_argument("--no-training", action="store_true", help="what needs none, alone")
    parser.add_argument("--set", default="{}", help="further arguments of train, as JSON")
    given = parser.parse_args()
    images = open_source(given.data)
    pairs = read_pairs(given.pairs, images, allow_missing=True)
    folds = np.unique(pairs.fold)[: given.limit_folds]
    pairs = pairs.select(np.isin(pairs.fold, folds))
    settings = {
        "method": "metric",
        "loss": "supcon",
        "loss_arguments": {"temperature": 0.05},
        "backbone": "small_conv",
        "base_lr": 0.003,
        "size": 32,
        "images_per_class": 2,
        "batch_size": 128,
        "views_arguments": {"area": (0.7, 1.0), "jitter": (0.2, 0.2, 0.2, 0.0)},
        **json.loads(given.set),
    }
    print(f"{processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{len(pairs):,} pairs in {len(folds)} folds of {given.data.name}, {given.epochs} epochs")
    squares = torch.from_numpy(load_squares(images, settings["size"])[0])
    scores, began, spent = np.zeros(len(pairs)), time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        for fold in () if given.no_training else folds.tolist():
            out = (given.out or Path(scratch)) / f"fold{fold}"
            out.mkdir(parents=True, exist_ok=True)
            names = others(images, pairs, fold)
            with (out / "people.csv").open("w", newline="") as file:
                table = csv.writer(file)
                table.writerow(["path", "label"])
                table.writerows([(given.data / name).resolve(), person(name)] for name in names)
            run = train(
                out / "people.csv",
                out=out / "run",
                epochs=given.epochs,
                monitor_every=1000,
                evaluate=False,
                quiet=True,
                **settings,
            )
            there = pairs.fold == fold
            scores[there] = cosines(both_ways(load_encoder(run.path), squares), pairs)[there]
            seconds = time.monotonic() - began
            print(
                f"fold {fold}: trained on {len(names):,} photos, {seconds:.0f} s so far, "
                f"{time.process_time() - spent:.0f} s of processor",
                flush=True,
            )
    grey = squares.flatten(1).float()
    print("\n| way | accuracy | folds | AUC | EER | TAR at FAR 0.1 | at 0.01 |")
    print("|---|---|---|---|---|---|---|")
    if not given.no_training:
        print(row("encoders", verification(scores, pairs.same, pairs.fold, bootstraps=0)))
    simple = {
        "raw pixels": grey - grey.mean(1, keepdim=True),
        "HOG with colours": hog_with_colours(squares),
    }
    for name, vectors in simple.items():
        found = cosines(unit_rows(vectors), pairs)
        print(row(name, verification(found, pairs.same, pairs.fold, bootstraps=0)))


if __name__ == "__main__":
    main()
