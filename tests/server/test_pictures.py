"""A picture is that of its row, whatever else lies beside it; and none where the file is gone."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from lookalike.data.decode import UnreadableImage
from lookalike.inference import Encoder
from lookalike.neighbors.embedding import add_source, embed_source
from lookalike.neighbors.index import Index
from lookalike.server.pictures import SIDE, Pictures


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg), formats=["JPEG"]), np.float64)


def test_a_picture_is_the_middle_of_its_own_file(index, folder):
    pictures = Pictures(index.collection)
    assert len(pictures) == 24
    for row in (0, 5, 23):
        image = Image.open(folder / "photos" / index.collection.ids[row])
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        middle = image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
        shown = pixels(pictures.jpeg(row))
        assert shown.shape == (SIDE, SIDE, 3)
        assert np.abs(shown - np.asarray(middle, np.float64)).mean() < 3, "JPEG moves a pixel a bit"


def test_a_small_image_is_not_blown_up(tmp_path, encoder):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.new("RGB", (20, 14), (90 * number, 0, 0)).save(tmp_path / f"photos/{number}.png")
    embed_source(encoder, tmp_path / "photos", out=tmp_path / "x.vec")
    pictures = Pictures(Index.open(tmp_path / "x.vec").collection)
    assert pixels(pictures.jpeg(0)).shape == (14, 14, 3)


def test_rows_of_several_sources_each_find_their_own(tmp_path, encoder: Encoder):
    for place, colour in (("first", "red"), ("second", "blue")):
        (tmp_path / place).mkdir()
        Image.new("RGB", (20, 20), colour).save(tmp_path / place / f"{colour}.png")
        Image.new("RGB", (20, 20), "white").save(tmp_path / place / f"white of {place}.png")
    embed_source(encoder, tmp_path / "first", out=tmp_path / "x.vec")
    add_source(Index.open(tmp_path / "x.vec").collection, encoder, tmp_path / "second")
    index = Index.open(tmp_path / "x.vec")
    index.remove("white of first.png")
    pictures = Pictures(index.collection)
    ids = index.collection.ids
    red, blue = pixels(pictures.jpeg(ids.index("red.png"))).mean((0, 1))[[0, 2]]
    assert red > 200 > 50 > blue
    red, blue = pixels(pictures.jpeg(ids.index("blue.png"))).mean((0, 1))[[0, 2]]
    assert blue > 200 > 50 > red
    assert ids.index("white of first.png") not in pictures
    assert len(pictures) == 3

    shutil.rmtree(tmp_path / "second")
    later = Pictures(Index.open(tmp_path / "x.vec").collection)
    assert len(later) == 1
    assert ids.index("blue.png") not in later


def test_rows_that_are_none_have_no_picture(index):
    pictures = Pictures(index.collection)
    for row in (-1, 24, 2**62):
        assert row not in pictures


def test_vectors_without_images_have_no_pictures():
    index = Index.build(np.eye(4, dtype=np.float32))
    assert len(Pictures(index.collection)) == 0


def test_a_file_that_has_become_something_else_says_so(tmp_path, encoder):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.new("RGB", (20, 20), (90 * number, 0, 0)).save(tmp_path / f"photos/{number}.png")
    embed_source(encoder, tmp_path / "photos", out=tmp_path / "x.vec")
    pictures = Pictures(Index.open(tmp_path / "x.vec").collection)
    (tmp_path / "photos/1.png").write_text("this is no picture any more, and it is long enough")
    with pytest.raises(UnreadableImage, match="text"):
        pictures.jpeg(1)
