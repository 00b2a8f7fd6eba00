"""Small encoders and real photos to hold what was written for elsewhere to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lookalike.backbones.build import build_backbone
from lookalike.data.decode import decode
from lookalike.data.sources import open_source
from lookalike.inference import Encoder

MakeEncoder = Callable[..., Encoder]


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    """Return eight photos of hands, (H, W, 3), no two of one size.

    None is much taller than wide: Pillow 13 takes the axes of such an image the other way round
    and rounds in between, which the most sensitive of untrained networks can tell.
    """
    images = open_source("hands/test")
    cut = [(64, 64), (64, 50), (40, 64), (33, 32), (20, 31), (62, 50), (48, 48), (63, 64)]
    chosen = np.linspace(0, len(images) - 1, len(cut)).astype(int)
    whole = [decode(images.read(int(position))) for position in chosen]
    return [photo[:h, :w] for photo, (h, w) in zip(whole, cut, strict=True)]


@pytest.fixture(scope="session")
def make_encoder() -> MakeEncoder:
    """Return what builds an encoder by name; its weights are random, its averages of real use."""

    def make(name: str = "small_conv", *, size: int = 24, **arguments: Any) -> Encoder:
        torch.manual_seed(0)
        backbone = build_backbone(name, **arguments)
        with torch.no_grad():  # averages that are not 0 and 1, weights that are not 0
            for module in backbone.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.running_mean.normal_(std=0.1)
                    module.running_var.uniform_(0.5, 2)
                    module.weight.uniform_(0.5, 1.5)
        mean, std = (0.4, 0.45, 0.5), (0.2, 0.25, 0.3)
        return Encoder(backbone, size=size, mean=mean, std=std, name=name, arguments=arguments)

    return make


@pytest.fixture(scope="session")
def encoder(make_encoder: MakeEncoder) -> Encoder:
    """Return a small encoder."""
    return make_encoder(width=4)


@pytest.fixture
def run_without(tmp_path: Path) -> Callable[..., np.ndarray]:
    """Return what runs a script where some packages cannot be imported.

    The script finds its images in `images` and leaves its vectors in `vectors`.
    """

    def run(script: str, images: np.ndarray, *packages: str) -> np.ndarray:
        np.save(tmp_path / "images.npy", images)
        lines = f"""
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ImportError(f"{{name}} is walled off")
sys.meta_path.insert(0, Wall())
for name in {packages!r}:
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{{name}} could be imported")
import numpy as np
images = np.load({str(tmp_path / "images.npy")!r})
{script}
np.save({str(tmp_path / "vectors.npy")!r}, vectors)
"""
        done = subprocess.run(
            [sys.executable, "-c", lines], capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return np.load(tmp_path / "vectors.npy")

    return run


@pytest.fixture
def a_run(tmp_path: Path, encoder: Encoder) -> Path:
    """Return a run folder that looks finished, of images that are there."""
    folder = tmp_path / "runs" / "mine"
    encoder.save(folder / "model")
    resolved = {
        "source": "hands",
        "split": "train",
        "images": 40,
        "unreadable": 0,
        "seed": 0,
        "method": "simclr",
        "epochs": 3,
    }
    record = {"format": 1, "status": "done", "resolved": resolved}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="session")
def least_cosine() -> Callable[[np.ndarray, np.ndarray], float]:
    """Return what gives the least cosine between the rows of two matrices, one by one."""

    def least(first: np.ndarray, second: np.ndarray) -> float:
        return min(
            float(a @ b / np.sqrt((a @ a) * (b @ b)))
            for a, b in zip(first.astype(float), second.astype(float), strict=True)
        )

    return least
