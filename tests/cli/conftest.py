"""Images and a run, small enough for a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.cli.app import main
from lookalike.data.decode import centre_square, decode
from lookalike.data.sources import open_source

CLASSES = ("0", "1", "2", "3")
A_CLASS = 12


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 48 photos of hands, 32 pixels wide, in four class folders."""
    folder = tmp_path_factory.mktemp("images") / "photos"
    images = open_source("hands/train")
    for name in CLASSES:
        label = images.class_names.index(name)
        (folder / name).mkdir(parents=True)
        for position in np.flatnonzero(images.labels == label)[:A_CLASS]:
            photo = centre_square(decode(images.read(int(position))), 32)
            Image.fromarray(photo).save(folder / name / f"{position}.png")
    return folder


@pytest.fixture(scope="session")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run on these photos."""
    folder = tmp_path_factory.mktemp("runs") / "photos"
    words = "--backbone small_conv --backbone.width 4 --batch-size 16 --epochs 2 --device cpu"
    assert main(["train", str(photos), "--out", str(folder), *words.split()]) == 0
    return folder


@pytest.fixture
def vectors(run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the folder of these photos' vectors."""
    out = tmp_path / "photos.vec"
    assert main(["embed", str(run), str(photos), "--out", str(out)]) == 0
    capsys.readouterr()
    return out
