"""Letters of alphabets that were never seen: recall at 1, minutes; from labels of other alphabets.

    python benchmarks/letters.py --data omniglot --test omniglot/test --epochs 10

Trains `lookalike train --method metric --loss supcon` on the letters as they are and, with
--turns 8, on each of them turned by quarters and mirrored besides, as letters of their own: there
are few letters to learn from, and a letter that is turned is another one. The letters that are
asked about are left as they are. Raw pixels and the untrained network stand beside it.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from machine import processor

from lookalike import evaluate, load, open_source, train
from lookalike.data.resident import load_squares

SETTINGS = {
    "method": "metric",
    "loss": "supcon",
    "loss_arguments": {"temperature": 0.05},
    "backbone": "small_conv",
    "base_lr": 0.003,
    "views_arguments": {
        "flip": 0.0,
        "area": (1.0, 1.0),
        "ratio": (1.0, 1.0),
        "rotation": 15.0,
        "scale": (0.85, 1.2),
        "translation": 0.1,
    },
}


def turned(pictures: np.ndarray, number: int) -> np.ndarray:
    """Return (N, H, W, 3) pictures turned by `number` quarters; from 4 on mirrored as well."""
    mirrored = pictures[:, :, ::-1] if number >= 4 else pictures
    return np.rot90(mirrored, number % 4, axes=(1, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="omniglot", help="letters to learn, with their labels")
    parser.add_argument("--test", default="omniglot/test", help="letters to ask about")
    parser.add_argument("--turns", type=int, default=8, choices=(1, 4, 8))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--side", type=int, default=64, help="of the pictures that are turned")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", default="{}", help="further arguments of train, as JSON")
    given = parser.parse_args()
    letters = open_source(given.data)
    pixels, rows = load_squares(letters, given.side)
    pictures, labels = pixels.transpose(0, 2, 3, 1), letters.labels[rows]
    count = int(labels.max()) + 1
    print(f"{processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{len(labels):,} drawings of {count} letters, {given.turns} ways round")
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "turned.npz"
        np.savez(
            source,
            images=np.concatenate([turned(pictures, number) for number in range(given.turns)]),
            labels=np.concatenate([labels + count * number for number in range(given.turns)]),
        )
        began, spent = time.monotonic(), time.process_time()
        run = train(
            source,
            out=Path(scratch) / "run",
            epochs=given.epochs,
            seed=given.seed,
            monitor_every=1000,
            evaluate=False,
            quiet=True,
            **{**SETTINGS, **json.loads(given.set)},
        )
        seconds, spent = time.monotonic() - began, time.process_time() - spent
        found = evaluate(load(run.path), given.test)
    print(f"trained in {seconds:.0f} s, {spent:.0f} s of processor")
    print("\n".join(found.lines()))


if __name__ == "__main__":
    main()
