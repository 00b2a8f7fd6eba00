"""Exact search beside faiss's IndexFlatIP, and engines tuned to a recall: time and what is found.

    pip install lookalike[search]
    python benchmarks/search.py --count 100000 --queries 1000 --threads 1

Unit vectors of width 128 lie in fuzzy clusters; queries are drawn apart from them. Both sides take
turns, `--runs` times, and the medians are shown (minimum in brackets). `same` is the share of
faiss's neighbours that are found as well: sums in another order may swap two that are as near. With
--engines each engine is tuned to find 0.95 of the 10 nearest, and its recall is measured once more
on these queries, which it has never seen.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import faiss
import numpy as np
import torch
from machine import processor

from lookalike.neighbors.approximate import build_engine, compare, propose
from lookalike.neighbors.exact import nearest

WIDTH = 128
K = 10


def clusters(count: int, seed: int) -> np.ndarray:
    """Return (count, WIDTH) float32 unit vectors."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(1000, WIDTH))
    vectors = centres[random.integers(0, 1000, count)] + random.normal(size=(count, WIDTH))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def in_turn(sides: dict[str, Callable[[], np.ndarray]], runs: int) -> dict[str, list[float]]:
    """Return the seconds of each run, by side."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for run in range(runs + 1):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            if run:  # the first loads what is loaded lazily
                seconds[name].append(time.perf_counter() - began)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--engines", nargs="*", default=[], choices=["hnsw", "ivfpq"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    faiss.omp_set_num_threads(given.threads)
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "faiss-cpu"))
    print(f"{processor()}; {versions}; {given.threads} threads")
    print(f"{given.queries:,} queries, {given.count:,} x {WIDTH}, k = {K}, {given.runs} runs\n")

    vectors, asked = clusters(given.count, seed=0), clusters(given.queries, seed=1)
    half, queries = vectors.astype(np.float16), torch.from_numpy(asked)
    flat = faiss.IndexFlatIP(WIDTH)
    flat.add(vectors)

    def ours(keys: np.ndarray) -> np.ndarray:
        return nearest(queries, keys, K)[1].numpy()

    sides = {
        "faiss IndexFlatIP": lambda: flat.search(asked, K)[1],
        "lookalike, float32": partial(ours, vectors),
        "lookalike, float16": partial(ours, half),
    }
    seconds = in_turn(sides, given.runs)
    wanted, base = sides["faiss IndexFlatIP"](), statistics.median(seconds["faiss IndexFlatIP"])
    print("| search | seconds | of faiss | same |\n|---|---|---|---|")
    for name, side in sides.items():
        median, found = statistics.median(seconds[name]), side()
        same = np.mean([np.isin(*pair).mean() for pair in zip(wanted, found, strict=True)])
        print(
            f"| {name} | {median:.3f} ({min(seconds[name]):.3f}) | {median / base:.2f} "
            f"| {same:.5f} |",
            flush=True,
        )
    for kind in given.engines:
        began = time.perf_counter()
        engine = build_engine(half, np.arange(given.count), kind)
        built = time.perf_counter() - began
        truth, _ = nearest(queries, half, K)
        found, _ = compare(queries, half, propose(engine, queries, K), K)
        recall = float((found >= truth[:, -1:] - 1e-6).double().mean())
        print(f"\n{engine.line()}\nbuilt in {built:.1f} s; on these queries: {recall:.3f}")


if __name__ == "__main__":
    main()
