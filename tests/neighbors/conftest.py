"""Collections small enough for a test."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image

from lookalike.backbones.build import build_backbone
from lookalike.inference import Encoder
from lookalike.neighbors.collection import Collection
from lookalike.neighbors.writing import write_collection


def unit(rows: int, dim: int = 8, *, seed: int = 0) -> np.ndarray:
    """Return (rows, dim) float32 vectors of length 1."""
    vectors = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def animals(rows: int, *, first: int = 0) -> pyarrow.Table:
    """Return a table whose classes take turns: cat, dog, none."""
    numbers = range(first, first + rows)
    columns = {
        "id": ([f"{number:03d}.jpg" for number in numbers], pyarrow.string()),
        "class": ([("cat", "dog", None)[number % 3] for number in numbers], pyarrow.string()),
        "year": ([2000 + number for number in numbers], pyarrow.int64()),
    }
    return pyarrow.table({name: pyarrow.array(*column) for name, column in columns.items()})


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    """Return a collection of 12 images, written in two blocks."""
    vectors = unit(12)
    return write_collection(
        tmp_path / "photos.vec",
        [vectors[:7], vectors[7:]],
        animals(12),
        dim=8,
        dtype="float32",
        encoder="a" * 64,
        source="somewhere",
    )


def untrained() -> Encoder:
    """Return a small network, untrained."""
    torch.manual_seed(0)
    arguments = {"width": 4}
    backbone = build_backbone("small_conv", **arguments)
    return Encoder(backbone, size=16, name="small_conv", arguments=arguments)


@pytest.fixture
def encoder() -> Encoder:
    """Return a small network, untrained."""
    return untrained()


@pytest.fixture
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 11 pictures in two classes, and one file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(11):
        path = folder / "ab"[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(exist_ok=True)
        coarse = random.integers(0, 256, (3, 4, 3)).astype(np.uint8)
        Image.fromarray(coarse).resize((40, 30), Image.Resampling.BICUBIC).save(path)
    (folder / "b/bad.jpg").write_bytes(b"\xff\xd8 this is no picture")
    return folder


class Page(HTMLParser):
    """What a browser makes of HTML: the tags with their attributes, and the text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.depth = "", 0
        self.feed(content)
        assert self.depth == 0, "what is opened is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.depth += tag != "img"

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"

    @property
    def pictures(self) -> list[np.ndarray]:
        """The pixels of its images, all of which are in the page itself."""
        sources = [attributes["src"] or "" for tag, attributes in self.tags if tag == "img"]
        head = "data:image/jpeg;base64,"
        assert all(source.startswith(head) for source in sources)
        files = [base64.b64decode(source.removeprefix(head)) for source in sources]
        return [np.asarray(Image.open(io.BytesIO(file), formats=["JPEG"])) for file in files]
