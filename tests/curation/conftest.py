"""Photos with copies among them, and what their neighbours are found with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from lookalike.curation.album import Album, embed_album
from lookalike.data.decode import decode
from lookalike.data.sources import open_source

from ..neighbors.conftest import collection, encoder, photos, untrained

__all__ = ["collection", "encoder", "photos"]  # fixtures of the room next door


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 120 photos of hands, 24 of them beside an altered copy of their own.

    `07.jpg` is a photo, `07-crop.jpg` its copy. `03-same.jpg` is the file `03.jpg` once more.
    """
    folder = tmp_path_factory.mktemp("planted")
    images = open_source("hands/test")
    random = np.random.default_rng(0)
    for number, position in enumerate(random.permutation(len(images))[:120].tolist()):
        raw = images.read(position)
        (folder / f"{number:02d}.jpg").write_bytes(raw)
        if number < 24:
            photo = Image.fromarray(decode(raw))
            change = ("jpeg", "size", "crop", "light")[number % 4]
            altered = {
                "jpeg": lambda photo: photo,
                "size": lambda photo: photo.resize((80, 80)),
                "crop": lambda photo: photo.crop((1, 2, 62, 63)),
                "light": lambda photo: ImageEnhance.Brightness(photo).enhance(1.2),
            }[change](photo)
            quality = 55 if change == "jpeg" else 92
            altered.save(folder / f"{number:02d}-{change}.jpg", quality=quality)
    (folder / "03-same.jpg").write_bytes((folder / "03.jpg").read_bytes())
    return folder


@pytest.fixture(scope="session")
def planted_album(planted: Path) -> Album:
    """Return the planted photos with their vectors."""
    return embed_album(untrained(), open_source(planted))
