"""What needs no training, on images with labels: kNN, linear probe and retrieval of each way.

    python benchmarks/baselines.py --data omniglot/test flowers/test --size 32

The numbers are those that `lookalike evaluate` puts beside an encoder of pictures of this size.
"""

import argparse

import torch
from machine import processor

from lookalike.backbones.build import build_backbone
from lookalike.evaluation.verdict import BASELINES
from lookalike.inference import Encoder
from lookalike.judging.scorecard import score

SMALLEST = {"width": 1}  # of the encoder that they stand beside, which is not shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["omniglot/test"])
    parser.add_argument("--size", type=int, default=32, help="pixels of a side")
    options = parser.parse_args()
    print(f"{processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print("| data | way | kNN | linear | recall at 1 | MAP@R |")
    print("|---|---|---|---|---|---|")
    backbone = build_backbone("small_conv", **SMALLEST)
    encoder = Encoder(backbone, size=options.size, name="small_conv", arguments=SMALLEST)
    for data in options.data:
        found = score(encoder, data).baselines
        for way in ("raw_pixels", "pca_pixels", "hog"):
            numbers = [
                getattr(found[way], name)
                for name in ("knn_top1", "linear_top1", "recall_at_1", "map_at_r")
            ]
            cells = ["-" if number is None else f"{number:.3f}" for number in numbers]
            print(f"| {data} | {BASELINES[way][0]} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
