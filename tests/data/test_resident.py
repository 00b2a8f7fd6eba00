"""Small sets, decoded once."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.data.decode import centre_square, decode
from lookalike.data.quarantine import Quarantine
from lookalike.data.resident import load_resident, load_squares, resident_bytes
from lookalike.data.sources import ImageSet, open_source

SIZES = [(20, 30), (40, 10), (5, 5), (33, 33)]  # height, width


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    """Return six images of four sizes, of which two cannot be read."""
    random = np.random.default_rng(0)
    for number, size in enumerate(SIZES):
        pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    whole = (tmp_path / "0.png").read_bytes()
    (tmp_path / "1b.png").write_bytes(whole[:-100])  # its header is sound
    (tmp_path / "2b.png").write_bytes(b"no image")
    return open_source(tmp_path)


def test_each_image_lies_in_the_corner_of_its_canvas(images: ImageSet) -> None:
    quarantine, told = Quarantine(len(images)), []
    resident = load_resident(
        images, quarantine=quarantine, progress=lambda *done: told.append(done)
    )
    assert resident.positions.tolist() == [0, 1, 3, 5]
    assert resident.sizes.tolist() == [list(size) for size in SIZES]
    assert resident.pixels.shape == (4, 3, 40, 33)
    for row, place in enumerate(resident.positions):
        height, width = resident.sizes[row]
        canvas = resident.pixels[row].transpose(1, 2, 0)
        np.testing.assert_array_equal(canvas[:height, :width], decode(images.read(place)))
        assert canvas[height:].max(initial=0) == canvas[:, width:].max(initial=0) == 0
    assert [one.id for one in quarantine] == ["1b.png", "2b.png"]
    assert told == [(done, 6) for done in range(1, 7)]


def test_the_bytes_are_known_from_the_headers(images: ImageSet) -> None:
    # 1b.png is taken to be readable: its header is.
    assert resident_bytes(images) == 3 * 40 * 33 * 5
    assert resident_bytes(images, limit=3 * 40 * 33 * 6) == 3 * 40 * 33 * 5
    assert resident_bytes(images, max_pixels=500) == 3 * 40 * 10 * 2


def test_large_images_are_told_after_a_few(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    many, read = images.select([0] * 1000), []
    real = ImageSet.read

    def counting(self: ImageSet, position: int, limit: int | None = None) -> object:
        read.append(position)
        return real(self, position, limit)

    monkeypatch.setattr(ImageSet, "read", counting)
    assert resident_bytes(many, limit=10_000) > 10_000
    assert len(read) < 1000


def test_squares_are_the_centres_of_what_can_be_read(images: ImageSet) -> None:
    quarantine = Quarantine(len(images))
    squares, positions = load_squares(images, 16, quarantine=quarantine)
    assert positions.tolist() == [0, 1, 3, 5]
    for row, place in enumerate(positions):
        expected = centre_square(decode(images.read(place)), 16)
        np.testing.assert_array_equal(squares[row].transpose(1, 2, 0), expected)
    assert len(quarantine) == 2


def test_squares_of_large_photos_are_decoded_small_and_look_the_same(tmp_path: Path) -> None:
    small = np.random.default_rng(1).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    photo = Image.fromarray(small).resize((900, 600), Image.Resampling.BICUBIC)
    photo.save(tmp_path / "a.jpg", quality=95)
    squares, _ = load_squares(open_source(tmp_path), 32)
    expected = centre_square(np.array(photo), 32)
    difference = np.abs(squares[0].transpose(1, 2, 0) - expected.astype(float))
    assert difference.mean() < 2
    assert difference.max() < 12


def test_a_png_may_tell_its_orientation_last(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    file = io.BytesIO()
    Image.new("RGB", (30, 10), "red").save(file, "PNG", exif=exif)
    raw = file.getvalue()
    start = raw.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(raw[start : start + 4], "big")
    tail = raw.index(b"IEND") - 4
    (tmp_path / "a.png").write_bytes(raw[:start] + raw[end:tail] + raw[start:end] + raw[tail:])
    resident = load_resident(open_source(tmp_path))
    assert resident.sizes.tolist() == [[30, 10]]
    assert resident.pixels[0, 0, :30, :10].min() == 255


def test_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    images = open_source(tmp_path)
    assert load_resident(images).positions.tolist() == []
    assert load_squares(images, 8)[0].shape == (0, 3, 8, 8)
    assert resident_bytes(images) == 0
