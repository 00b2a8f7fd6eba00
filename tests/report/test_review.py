"""The page of captioned pictures: the right ones, whole, in safe text, in one file."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.data.decode import UnreadableImage
from lookalike.data.image_set import ImageSet
from lookalike.report import review as module
from lookalike.report.review import Page, Part, Row, Tile, whole_picture, write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "</style><script>alert(1)</script>\"' onload=alert(2)"


class Shades:
    """Pictures of one shade of grey each, ten times their number; number 9 is gone."""

    def read(self, key: int, limit: int | None = None) -> np.ndarray:
        if key == 9:
            raise UnreadableImage("gone")
        return np.full((20, 40, 3), 10 * key, np.uint8)


def images(count: int = 10) -> ImageSet:
    ids = tuple(f"{number}.png" for number in range(count))
    labels = np.full(count, -1)
    return ImageSet("shades", ids, labels, (), Shades(), np.arange(count))


def page_of(*rows: Row, rest: str = "") -> Page:
    return Page(
        "A title", "What was found.", (("images", "10"),), (Part("p", "P", "how", rows, rest),)
    )


def written(page: Page, folder: Path, sets: list[ImageSet] | None = None) -> str:
    write_page(page, sets or [images()], folder / "page.html", max_pixels=10**6)
    return (folder / "page.html").read_text(encoding="utf-8")


def shades_shown(text: str) -> list[int]:
    """Return the grey value that each tile shows, in the order of the page."""
    data = re.search(r"url\(data:image/jpeg;base64,([^)]+)\)", text)
    assert data
    with Image.open(io.BytesIO(base64.b64decode(data[1]))) as opened:
        sheet = np.asarray(opened.convert("L"))
    columns, rows = (int(n) for n in re.search(r"--columns:(\d+);--rows:(\d+)", text).groups())
    side = sheet.shape[1] // columns
    assert sheet.shape == (rows * side, columns * side)
    places = re.findall(r"--x:(\d+);--y:(\d+)", text)
    return [int(sheet[int(y) * side + side // 2, int(x) * side + side // 2]) for x, y in places]


def test_each_tile_shows_its_own_image(tmp_path):
    order = (7, 2, 5, 2)
    rows = Row("one", "", tuple(Tile(0, n, f"image {n}", f"{n}") for n in order))
    text = written(page_of(rows), tmp_path)
    np.testing.assert_allclose(shades_shown(text), [10 * n for n in order], atol=3)
    assert re.findall(r'title="image (\d)"', text) == [str(n) for n in order]


def test_tiles_of_two_sets_are_told_apart(tmp_path):
    other = images().select([8, 6])
    row = Row("one", "", (Tile(0, 1, "first"), Tile(1, 0, "second"), Tile(1, 1, "third")))
    shades = shades_shown(written(page_of(row), tmp_path, [images(), other]))
    np.testing.assert_allclose(shades, [10, 80, 60], atol=3)


def test_an_image_that_is_gone_shows_grey(tmp_path):
    row = Row("one", "", (Tile(0, 9, "gone"), Tile(0, 3, "there")))
    np.testing.assert_allclose(shades_shown(written(page_of(row), tmp_path)), [128, 30], atol=3)


def test_the_whole_of_a_wide_image_is_shown():
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 30:] = 255
    square = whole_picture(wide, 64)
    assert square.shape == (64, 64, 3)
    assert (square[:22] == 128).all()
    assert (square[42:] == 128).all()
    assert square[32, 2].mean() < 20
    assert square[32, 61].mean() > 235
    assert whole_picture(np.zeros((1, 500, 3), np.uint8), 64).shape == (64, 64, 3)


def test_more_rows_than_fit_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_THUMBS", 5)
    rows = [Row(f"row {n}", "", (Tile(0, 1, "a"), Tile(0, 2, "b"))) for n in range(4)]
    text = written(page_of(*rows), tmp_path)
    assert len(shades_shown(text)) == 4
    assert "2 more are in the table." in text
    assert "kept as said" in written(page_of(rows[0], rest="kept as said"), tmp_path)


def test_nothing_to_show_is_a_page_as_well(tmp_path):
    text = written(page_of(), tmp_path)
    assert "What was found." in text
    assert "<article" not in text


def test_the_page_is_one_safe_file_and_the_same_each_time(tmp_path):
    row = Row(HOSTILE, HOSTILE, (Tile(0, 1, HOSTILE, HOSTILE, "good"),))
    page = Page(HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),), (Part("p", HOSTILE, HOSTILE, (row,)),))
    text = written(page, tmp_path)
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", text)
    assert "default-src 'none'" in text
    assert written(page, tmp_path) == text


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")
def test_a_browser_shows_it_without_a_complaint(tmp_path):
    written(page_of(Row("one", "more", (Tile(0, 1, "a", "b", "bad"),))), tmp_path)
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--enable-logging=stderr", "--dump-dom"),
        f"--user-data-dir={tmp_path / 'profile'}",
        (tmp_path / "page.html").as_uri(),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "CONSOLE" not in shown.stderr
    assert shown.stdout.count("<article") == 1
