"""A made-up run folder as training leaves it: every file, with numbers a real run could have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.evaluation.verification import verification

SIDE = 32
PALETTE = np.random.default_rng(7).integers(40, 230, (256, 3))


def made_up_gallery(count: int, classes: int, *, seed: int = 0) -> dict[str, Any]:
    """Return gallery arrays: discs whose colour tells the class, vectors in fuzzy clusters."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    down, right = np.mgrid[:SIDE, :SIDE]
    middles = rng.uniform(10, 22, (count, 2, 1, 1))
    radii = rng.uniform(5, 10, (count, 1, 1))
    discs = (down - middles[:, 0]) ** 2 + (right - middles[:, 1]) ** 2 < radii**2
    thumbs = rng.integers(150, 230, (count, 1, 1, 3)) + np.zeros((1, SIDE, SIDE, 1), np.int64)
    thumbs = np.where(discs[..., None], PALETTE[labels % 256][:, None, None], thumbs)
    centres = rng.normal(size=(classes, 64))
    vectors = centres[labels] + 1.3 * rng.normal(size=(count, 64))
    names = [f"test/class {label}/IMG_{place:04d}.jpg" for place, label in enumerate(labels)]
    return {
        "thumbs": thumbs.astype(np.uint8),
        "ids": np.array(names),
        "labels": labels.astype(np.int64),
        "class_names": np.array([f"class {label}" for label in range(classes)]),
        "vectors": (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
    }


def made_up_evaluation(class_names: list[str], *, images_a_class: int = 50) -> dict[str, Any]:
    """Return a scorecard whose accuracy is the share of its confusion's diagonal."""
    rng = np.random.default_rng(1)
    classes = len(class_names)
    chances = np.full((classes, classes), 0.06 / max(classes - 1, 1))
    np.fill_diagonal(chances, rng.uniform(0.84, 1.0, classes))
    chances /= chances.sum(axis=1, keepdims=True)
    confusion = np.stack([rng.multinomial(images_a_class, row) for row in chances])
    images = int(confusion.sum())
    top1 = {"": confusion.trace() / images, "raw_pixels_": 0.764, "untrained_": 0.391}
    return {
        "source": "hands/test",
        "protocol": "the source comes in splits: train votes on test",
        "k": 15,
        "k_reason": "a tenth of the 155 images a class that vote, at most 200",
        "temperature": 0.1,
        "bank_images": 1546,
        "query_images": images,
        "unreadable": 0,
        "dim": 128,
        **{f"{way}knn_top1": float(share) for way, share in top1.items()},
        **{
            f"{way}knn_top1_ci95": [share - 1.96 * spread, share + 1.96 * spread]
            for way, share in top1.items()
            for spread in [float(np.sqrt(share * (1 - share) / images))]
        },
        "linear_top1": 0.957,
        "untrained_linear_top1": 0.6,
        "recall_at_1": 0.912,
        "map_at_r": 0.537,
        "rankme": 41.7,
        "alpha_req": 1.12,
        "alignment": 0.31,
        "uniformity": -3.42,
        "spread": 0.95,
        "class_names": class_names,
        "confusion": confusion.tolist(),
    }


def made_up_metrics(steps: int, *, steps_an_epoch: int = 30) -> list[dict[str, Any]]:
    """Return the rows of metrics.jsonl: a loss that falls with noise, monitors that rise."""
    rng = np.random.default_rng(2)
    rows: list[dict[str, Any]] = [_monitor(0, 0, 0.0, rng)]
    for step in range(10, steps + 1, 10):
        done = step / steps
        rows.append(
            {
                "kind": "train",
                "step": step,
                "epoch": (step - 1) // steps_an_epoch + 1,
                "lr": 0.6 * min(done * 10, (1 + np.cos(np.pi * done)) / 2),
                "loss": 3.1 + 2.4 * np.exp(-4 * done) + 0.06 * rng.normal(),
                "gradient_norm": 0.8 + 0.7 * np.exp(-6 * done) + 0.05 * abs(rng.normal()),
            }
        )
        if step % (2 * steps_an_epoch) == 0:
            rows.append(_monitor(step, step // steps_an_epoch, done, rng))
    return rows


def _monitor(step: int, epoch: int, done: float, rng: np.random.Generator) -> dict[str, Any]:
    learned = 1 - np.exp(-5 * done)
    return {
        "kind": "monitor",
        "step": step,
        "epoch": epoch,
        "spread": 0.42 + 0.5 * learned + 0.01 * rng.normal(),
        "rankme": 6 + 36 * learned + rng.normal(),
        "alignment": 0.18 + 0.2 * learned * np.exp(-done) + 0.01 * rng.normal(),
        "uniformity": -0.9 - 2.5 * learned + 0.03 * rng.normal(),
        "knn_top1": min(0.99, 0.41 + 0.5 * learned + 0.01 * rng.normal()),
    }


def write_minimal_run(folder: Path, *, steps: int = 1200, **record: Any) -> Path:
    """Write a folder of run.json and metrics.jsonl; `record` replaces entries of run.json."""
    folder.mkdir(parents=True)
    run = {
        "format": 1,
        "lookalike": "0.1.0",
        "status": "done",
        "command": ["/somewhere/bin/lookalike", "train", "hands", "--out", "runs/my hands"],
        "resolved": {
            "source": "hands",
            "method": "simclr",
            "method_arguments": {"hidden_dim": 512, "out_dim": 128, "temperature": 0.2},
            "backbone": "resnet18",
            "backbone_arguments": {"width": 16, "stem": "cifar"},
            "views": {"name": "simclr-small", "views": [{"area": [0.2, 1.0], "flip": 0.5}]},
            "optim": "sgd",
            "epochs": 40,
            "batch_size": 50,
            "seed": 0,
            "size": 48,
            "steps": steps,
            "images": 1546,
            "mean": [0.71, 0.65, 0.63],
        },
        "choices": [
            {
                "name": "backbone",
                "value": "resnet18",
                "reason": "images are 64 px and there is no GPU",
            },
            {"name": "epochs", "value": 40, "reason": "1,546 images: some minutes on two cores"},
        ],
        "environment": {"python": "3.11.7", "torch": "2.15.0", "device": "cpu", "cores": 2},
        "started": "2026-10-01T12:00:00+00:00",
        "seconds": 232.4,
    }
    (folder / "run.json").write_text(json.dumps(run | record), encoding="utf-8")
    rows = made_up_metrics(steps)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_full_run(
    folder: Path, *, count: int = 200, classes: int = 10, gallery: dict[str, Any] | None = None
) -> Path:
    """Write a folder with everything that training and evaluation leave."""
    write_minimal_run(folder)
    gallery = gallery or made_up_gallery(count, classes)
    np.savez(folder / "gallery.npz", **gallery)
    evaluation = made_up_evaluation([str(name) for name in gallery["class_names"]])
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    rng = np.random.default_rng(3)
    speed = [
        {
            "step": step,
            "images_per_second": 360 + 12 * rng.normal(),
            "wait_share": 0.01 + 0.004 * abs(rng.normal()),
            "seconds": 4.2,
        }
        for step in range(30, 1201, 30)
    ]
    (folder / "speed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in speed))
    (folder / "unreadable.csv").write_text("id,reason\ntrain/0/bad.jpg,truncated\n")
    (folder / "log.txt").write_text("step 1,200/1,200  loss 3.1\nthe end\n")
    thumbs = gallery["thumbs"][:35]
    tiles = thumbs[: len(thumbs) // 7 * 7].reshape(-1, 7, *thumbs.shape[1:])  # (rows, 7, S, S, 3)
    grid = tiles.swapaxes(1, 2).reshape(-1, 7 * thumbs.shape[2], 3)
    Image.fromarray(grid).save(folder / "views.png")
    return folder


@pytest.fixture
def full_run(tmp_path: Path) -> Path:
    """A run folder with everything in it."""
    return write_full_run(tmp_path / "full")


@pytest.fixture
def minimal_run(tmp_path: Path) -> Path:
    """A run folder with only what training writes first."""
    return write_minimal_run(tmp_path / "minimal")


@pytest.fixture
def write_run() -> Callable[..., Path]:
    """`write_full_run`, for runs of one's own."""
    return write_full_run


def made_up_verification(count: int = 3000, *, apart: float = 1.5) -> dict[str, Any]:
    """Return verification.json of normal cosines: three ways, the encoder the best of them."""
    same = np.arange(count) % 2 == 0
    ways = {}
    for seed, (way, distance) in enumerate(
        {"encoder": apart, "raw_pixels": apart / 2, "untrained": apart / 3}.items()
    ):
        noise = np.random.default_rng(seed).normal(size=count)
        scores = (noise + distance * same) / 10
        ways[way] = verification(scores, same, np.arange(count) % 10, bootstraps=50).to_json()
    hard = [
        {"first": f"a/{place}.jpg", "second": f"b/{place}.jpg", "score": 0.9 - place / 100}
        for place in range(4)
    ]
    told = {
        "source": "faces",
        "list": "pairs.txt",
        "images": 2000,
        "pairs": count,
        "skipped": 0,
        "unreadable": 0,
        "unreadable_pairs": 0,
        "trained_on": 0,
        "seed": 0,
        "fingerprint": "0123456789abcdef" * 4,
        "ways": ways,
        "most_alike_different": hard,
        "least_alike_same": hard[:2],
    }
    return json.loads(json.dumps(told))


@pytest.fixture(scope="session")
def verified() -> dict[str, Any]:
    """An object as in verification.json; copy what you change."""
    return made_up_verification()


@pytest.fixture(scope="session")
def console() -> Callable[..., list[str]]:
    """A browser that shows a page and returns what it printed; without one, tests are skipped."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not on PATH")

    def show(page: Path, profile: Path, *, width: int) -> list[str]:
        """Return what a browser without a network prints while it shows a page."""
        command = [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            f"--user-data-dir={profile}",
            f"--window-size={width},900",
            "--virtual-time-budget=3000",
            "--dump-dom",
            page.as_uri(),
        ]
        environment = os.environ | {"LANG": "C.UTF-8"}
        shown = subprocess.run(
            command, capture_output=True, text=True, timeout=300, check=False, env=environment
        )
        return [line for line in shown.stderr.splitlines() if "CONSOLE" in line]

    return show
