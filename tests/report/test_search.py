"""The page of a search: every query beside its own images, safe text, one file."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lookalike.neighbors.hits import Hits
from lookalike.report import search as module
from lookalike.report.search import write_gallery

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "</style><script>alert(1)</script>\"' onload=alert(2)"


def square(value: int) -> np.ndarray:
    return np.full((module.THUMB_SIDE, module.THUMB_SIDE, 3), value, np.uint8)


def hits(*, name: str = "cat.jpg", kind: str = "cat") -> Hits:
    return Hits(
        ids=((name, "b.jpg"), ("c.jpg",)),
        cosines=np.array([[0.9, 0.8], [0.7, -np.inf]], np.float32),
        rows=np.array([[3, 5], [3, -1]]),
        queries=("first", "second"),
        how="exact",
        seconds=0.1,
        columns={"class": ((kind, "dog"), (None,))},
    )


class Page(HTMLParser):
    """The pictures and texts of a page, by article."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.articles: list[list[str]] = []
        self.others: list[int] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        if tag == "article":
            self.articles.append([])
            self.others.append(0)
        elif (given.get("class") or "") in {"thumb", "gone"}:
            self.articles[-1].append(given.get("style", "gone"))
        self.others[-1:] = [n + (given.get("class") == "other") for n in self.others[-1:]]

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def written(folder: Path, found: Hits | None = None, **settings) -> Page:
    settings = {
        "of": "photos.vec",
        "pictures": [square(10), None],
        "thumbs": {3: square(30), 5: square(50)},
        "classes": ["cat", None],
    } | settings
    write_gallery(found or hits(), folder / "search.html", **settings)
    return Page(folder / "search.html")


def test_each_query_stands_beside_its_own_images(tmp_path):
    page = written(tmp_path)
    # the sheet: row 3 first, then row 5, in two columns, then the first query
    assert page.articles == [["--x:0;--y:1", "--x:0;--y:0", "--x:1;--y:0"], ["gone", "--x:0;--y:0"]]
    for words in ("0.900", "0.800", "0.700", "first", "second", "b.jpg", "2 queries", "exact"):
        assert words in page.text


def test_another_class_than_the_querys_is_marked(tmp_path):
    assert written(tmp_path).others == [1, 0]
    plain = written(tmp_path, classes=None)
    assert plain.others == [0, 0]
    assert "dashed frame" not in plain.text


def test_what_is_left_out_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_THUMBS", 3)
    page = written(tmp_path, thumbs={}, unreadable=4)
    assert len(page.articles) == 1
    assert page.articles[0][1:] == ["gone", "gone"]
    assert "1 more queries are not on this page" in page.text
    assert "4 queries could not be read and are left out" in page.text
    assert "have no picture" in page.text


def test_the_page_is_one_safe_file_and_the_same_each_time(tmp_path):
    found = hits(name=HOSTILE, kind=HOSTILE)
    first = written(tmp_path, found, of=HOSTILE)
    assert "script" not in first.tags
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", first.source)
    assert "default-src 'none'" in first.source
    assert written(tmp_path, found, of=HOSTILE).source == first.source


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")
def test_a_browser_shows_it_without_a_complaint(tmp_path):
    written(tmp_path)
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--enable-logging=stderr", "--dump-dom"),
        f"--user-data-dir={tmp_path / 'profile'}",
        (tmp_path / "search.html").as_uri(),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "CONSOLE" not in shown.stderr
    assert shown.stdout.count("<article") == 2
