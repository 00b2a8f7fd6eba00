"""What is seen of an image: its whole in grey, its size, its digest, and how sharp it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from lookalike.curation.looks import (
    SIDE,
    grey_picture,
    look_at,
    look_through,
    see,
    sharpness,
)
from lookalike.data.quarantine import Quarantine
from lookalike.data.sources import open_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of a wide gradient, its blurred copy, a flat image and no image."""
    ramp = np.tile(np.linspace(0, 255, 200).astype(np.uint8), (80, 1))
    ramp[::7] //= 2
    picture = Image.fromarray(ramp)
    picture.save(tmp_path / "a.png")
    picture.filter(ImageFilter.GaussianBlur(2)).save(tmp_path / "b.png")
    Image.new("RGB", (30, 20), (9, 9, 9)).save(tmp_path / "c.png")
    (tmp_path / "d.jpg").write_bytes(b"no picture")
    return tmp_path


def test_tells_size_digest_and_bytes_of_what_can_be_read(folder):
    images = open_source(folder)
    quarantine, done = Quarantine(4), []
    looks = look_at(images, quarantine=quarantine, progress=lambda *counts: done.append(counts))
    assert looks.positions.tolist() == [0, 1, 2]
    assert looks.sizes.tolist() == [[80, 200], [80, 200], [20, 30]]
    files = [(folder / name).read_bytes() for name in ("a.png", "b.png", "c.png")]
    assert list(looks.digests) == [hashlib.sha256(content).digest() for content in files]
    assert looks.bytes.tolist() == [len(content) for content in files]
    assert [one.id for one in quarantine] == ["d.jpg"]
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_grey_picture_is_of_the_whole_image(folder):
    looks = look_at(open_source(folder))
    columns = looks.grey[0].mean(axis=0)
    assert columns[0] < 10  # the left edge of a wide image, and the right one
    assert columns[-1] > 200
    assert (looks.grey[2] == 9).all()


def test_arrays_have_a_digest_of_their_pixels_and_shape(tmp_path):
    pixels = np.zeros((3, 4, 6), dtype=np.uint8)
    pixels[2] = 1
    np.savez(tmp_path / "some.npz", images=pixels)
    looks = look_at(open_source(tmp_path / "some.npz"))
    assert looks.digests[0] == looks.digests[1] != looks.digests[2]
    assert looks.bytes.tolist() == [len(b"(4, 6)") + 24] * 3


def test_nothing_to_look_at(folder):
    looks = look_at(open_source(folder).select([]))
    assert looks.grey.shape == (0, SIDE, SIDE)
    assert looks.sizes.shape == (0, 2)
    assert len(looks.positions) == 0


def test_sharpness_is_the_variance_of_the_laplacian(folder):
    images = open_source(folder)
    sharp, blurred, flat, unreadable = sharpness(images, range(4), max_pixels=10**6)
    grey = np.asarray(Image.open(folder / "a.png"), dtype=float)
    slow = [
        4 * grey[y, x] - grey[y - 1, x] - grey[y + 1, x] - grey[y, x - 1] - grey[y, x + 1]
        for y in range(1, 79)
        for x in range(1, 199)
    ]
    assert sharp == pytest.approx(np.var(slow), rel=1e-5)
    assert sharp > 5 * blurred > 0
    assert (flat, unreadable) == (0, 0)


def test_a_tiny_image_has_a_picture_and_no_sharpness(tmp_path):
    Image.new("L", (1, 2), 7).save(tmp_path / "a.png")
    Image.new("L", (5, 5), 7).save(tmp_path / "b.png")
    assert sharpness(open_source(tmp_path), [0], max_pixels=100) == [0.0]
    assert (grey_picture(np.full((2, 1, 3), 7, np.uint8)) == 7).all()


def test_plain_edges_are_taken_off(tmp_path):
    """A frame of 10 pixels around 40 leaves those; a plain image and one without edges stay."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    inner = Image.fromarray(pixels)
    framed = Image.new("RGB", (60, 60), (250, 240, 230))
    framed.paste(inner, (10, 10))
    assert (see(np.asarray(framed)).inner == grey_picture(pixels)).all()
    assert see(pixels).inner is None
    assert see(np.full((30, 30, 3), 9, np.uint8)).inner is None


def test_some_of_the_images_keep_their_own_frames_and_colours():
    random = np.random.default_rng(0)
    plain, framed = (random.integers(0, 256, (24, 24, 3)).astype(np.uint8) for _ in range(2))
    framed[:5] = 0
    looks = look_through(see(each) for each in (plain, framed, plain))
    assert looks.framed.tolist() == [1]
    chosen = looks.select(np.array([2, 1]))
    assert chosen.framed.tolist() == [1]
    assert (chosen.inner[0] == see(framed).inner).all()
    assert chosen.colours[0] == pytest.approx(
        [*plain.mean(axis=(0, 1)) / 255, looks.colours[2, 3]], abs=0.02
    )
