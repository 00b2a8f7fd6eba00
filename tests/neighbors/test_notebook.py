"""A notebook shows pictures whose bytes are in the page, and names as text."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lookalike.neighbors.notebook import SIDE, Strip, Tile, look, show_strips

from .conftest import Page

BAD = "<script>alert('1')</script> & \"x\" \udcff.png"


def plain(*colour: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), colour, np.uint8)


def test_pictures_are_shown_in_order_and_what_is_gone_is_said_to_be():
    tiles = [Tile("a.png", "0.9", plain(200, 0, 0)), Tile("b.png", "0.8", None)]
    page = Page(show_strips([Strip("first", tiles, 37)], lead="two", rest="and 4 more queries"))
    (picture,) = page.pictures
    assert np.abs(picture.astype(int) - plain(200, 0, 0)).max() < 5, "JPEG moves a pixel a bit"
    for text in (
        "two",
        "first",
        "a.png",
        "b.png",
        "0.9",
        "no picture",
        "and 37 more",
        "and 4 more",
    ):
        assert text in page.text
    assert "table" not in dict(page.tags)


def test_without_any_picture_it_is_a_table():
    strips = [Strip("first", [Tile("a.png", "0.9", None), Tile("b.png", "0.8", None)], 1)]
    page = Page(show_strips(strips, lead="two", rest=""))
    assert page.pictures == []
    assert [tag for tag, _ in page.tags].count("tr") == 4
    assert page.text.split() == ["two", "first", "0.9", "a.png", "0.8", "b.png", "and", "1", "more"]


def test_names_are_text_and_can_be_written():
    for picture in (plain(0, 0, 0), None):
        content = show_strips([Strip(BAD, [Tile(BAD, BAD, picture)], 0)], lead=BAD, rest=BAD)
        content.encode()  # a name may hold what is no text
        page = Page(content)
        assert "script" not in dict(page.tags)
        assert page.text.count("<script>alert('1')</script>") == 5
        assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]


def test_nothing_to_show_is_no_table():
    assert [tag for tag, _ in Page(show_strips([], lead="none", rest="")).tags] == ["div", "p"]


def test_what_was_asked_about_is_shown_while_it_can_be_read(tmp_path):
    image = Image.new("RGB", (50, 40), (0, 200, 0))
    image.save(tmp_path / "x.png")
    for one in (tmp_path / "x.png", str(tmp_path / "x.png"), image, np.asarray(image)):
        assert np.array_equal(look(one), plain(0, 200, 0))
    opened = Image.open(tmp_path / "x.png")
    opened.close()
    (tmp_path / "bad.png").write_bytes(b"no image")
    for one in (
        opened,
        tmp_path / "bad.png",
        tmp_path / "gone.png",
        tmp_path,
        np.zeros((0, 0, 3), np.uint8),
    ):
        assert look(one) is None
