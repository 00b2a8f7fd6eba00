"""The page of several runs: whole, safe, offline, honest about what cannot be compared."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.report.compare import MOST, render_comparison, turn_towards, write_comparison
from lookalike.report.reading import Gallery, read_run

HOSTILE = "</script><script>alert(1)</script>\"' onload=alert(2) <img src=http://evil/x>"
SECTIONS = ["result", "settings", "curves", "neighbours", "changed", "maps", "details"]
VOID = {"meta", "link", "img", "br", "wbr", "input"}

Run = Callable[..., Path]
Console = Callable[..., list[str]]


class Page(HTMLParser):
    """The elements and texts of a page; fails on tags that do not nest."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def two_runs(tmp_path: Path, write_run: Run) -> list[Path]:
    """Two runs that were asked about the same images, a student the second."""
    runs = [write_run(tmp_path / name) for name in ("first", "second")]
    with np.load(runs[1] / "gallery.npz") as table:
        arrays = dict(table)
    noisy = arrays["vectors"] + 0.2 * np.random.default_rng(0).normal(size=arrays["vectors"].shape)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    np.savez(runs[1] / "gallery.npz", **(arrays | {"vectors": noisy.astype(np.float32)}))
    record = json.loads((runs[1] / "run.json").read_text())
    record["resolved"]["method_arguments"]["temperature"] = 0.7
    (runs[1] / "run.json").write_text(json.dumps(record))
    side = {"parameters": 700_176, "megabytes": 2.81, "images_per_second": 1085.3, "knn_top1": 0.92}
    comparison = {
        "source": "hands",
        "images": 516,
        "teacher": side,
        "student": side | {"parameters": 67_532},
        "overlap": 0.418,
        "kept": 0.987,
        "faster": 2.6,
    }
    (runs[1] / "comparison.json").write_text(json.dumps(comparison))
    return runs


def page_of(runs: list[Path]) -> Page:
    return Page(write_comparison(runs, runs[0].parent).read_text(encoding="utf-8"))


def test_everything_is_there_in_one_file_that_loads_nothing(two_runs: list[Path]):
    path = write_comparison(two_runs, two_runs[0].parent)
    assert path.name == "compare.html"
    source = path.read_text(encoding="utf-8")
    page = Page(source)
    found = [attributes.get("id") for tag, attributes in page.elements if tag == "section"]
    assert found == [*SECTIONS[:-1], "students", SECTIONS[-1]]
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", source)
    assert "default-src 'none'" in source
    script = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.unescape(source)
    assert write_comparison(two_runs, path).read_text(encoding="utf-8") == source


def test_says_what_differs_and_what_came_out(two_runs: list[Path]):
    text = page_of(two_runs).text
    for words in (
        "2 runs, side by side",
        "first",
        "second",
        "temperature 0.2 0.7",
        "kNN accuracy",
        "A and B name the same share of images right.",
        "nearest 10 in common",
        "67,532",
        "98.7% of the teacher's kNN accuracy is kept",
        "lookalike train hands --out 'runs/my hands'",
    ):
        assert words in text, words


def test_losses_are_compared_where_they_measure_the_same(two_runs: list[Path], write_run: Run):
    assert "losses do not measure the same thing" in page_of(two_runs).text  # temperatures
    again = write_run(two_runs[0].parent / "again", count=20)
    assert "losses do not measure" not in page_of([two_runs[0], again]).text


def test_every_question_has_an_answer_of_every_run(two_runs: list[Path]):
    page = page_of(two_runs)
    queries = sum(attributes.get("class") == "ask" for _, attributes in page.elements)
    answers = sum(attributes.get("class") == "answer" for _, attributes in page.elements)
    assert answers == 2 * queries > 0


def test_runs_on_other_images_get_a_sentence_for_each_thing(
    tmp_path: Path, write_run: Run, two_runs: list[Path]
):
    other = write_run(tmp_path / "other", count=40, classes=4)
    evaluation = json.loads((other / "evaluation.json").read_text())
    (other / "evaluation.json").write_text(json.dumps(evaluation | {"source": "flowers"}))
    with np.load(other / "gallery.npz") as table:
        arrays = dict(table)
    arrays["ids"] = np.array([f"flowers/{name}" for name in arrays["ids"]])
    np.savez(other / "gallery.npz", **arrays)
    text = page_of([two_runs[0], other]).text
    for words in (
        "accuracies cannot be compared",
        "images of flowers",
        "galleries of A and B have no images in common",
        "no maps without images that all runs have vectors of",
    ):
        assert words in text, words


def test_runs_without_an_evaluation_are_compared_by_their_curves(
    minimal_run: Path, two_runs: list[Path]
):
    page = page_of([minimal_run, two_runs[0]])
    for words in ("A has no evaluation", "no gallery.npz", "galleries of two runs at least"):
        assert words in page.text, words
    assert sum("data-chart" in attributes for _, attributes in page.elements) > 4


def test_a_third_run_without_a_gallery_does_not_hide_the_others(
    minimal_run: Path, two_runs: list[Path]
):
    page = page_of([two_runs[0], minimal_run, two_runs[1]])
    assert "A and C" in page.text
    assert [each["data-map"] for _, each in page.elements if "data-map" in each] == ["A", "C"]


def test_what_a_run_says_is_text_and_no_code(two_runs: list[Path]):
    record = json.loads((two_runs[0] / "run.json").read_text())
    record["command"] = ["lookalike", HOSTILE]
    record["resolved"] |= {"source": HOSTILE, "method": HOSTILE}
    (two_runs[0] / "run.json").write_text(json.dumps(record))
    for run in two_runs:
        with np.load(run / "gallery.npz") as table:
            arrays = dict(table)
        arrays["class_names"] = np.array([HOSTILE, *arrays["class_names"][1:]])
        arrays["ids"] = np.array([HOSTILE, *arrays["ids"][1:]])
        np.savez(run / "gallery.npz", **arrays)
    page = page_of(two_runs)
    assert HOSTILE in page.text
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not any(tag == "img" or "onload" in attributes for tag, attributes in page.elements)


def test_too_few_too_many_and_twice_the_same_are_refused(full_run: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="2 to 8 runs, got 1"):
        write_comparison([full_run], tmp_path / "a.html")
    with pytest.raises(UsageError, match="2 to 8 runs, got 9"):
        write_comparison([full_run] * 9, tmp_path / "a.html")
    with pytest.raises(UsageError, match="named twice"):
        write_comparison([full_run, full_run / ".." / full_run.name], tmp_path / "a.html")


def test_folders_of_one_name_are_told_apart(tmp_path: Path, write_run: Run):
    runs = [write_run(tmp_path / place / "run", count=20) for place in ("x", "y")]
    assert all(words in page_of(runs).text for words in ("x/run", "y/run"))


def test_as_many_noisy_images_and_runs_as_can_be_stay_under_ten_megabytes(full_run: Path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2000, 64, 64, 3), dtype=np.uint8)  # nothing compresses worse
    ids = tuple(f"some/folder/with a name/IMG_{place:05d}.jpg" for place in range(2000))
    labels = np.arange(2000) % 10
    names = tuple(map(str, range(10)))
    record = read_run(full_run)
    runs = [
        replace(
            record,
            gallery=Gallery(noise, ids, labels, names, unit(rng.normal(size=(2000, 16)))),
        )
        for _ in range(MOST)
    ]
    assert len(render_comparison(runs).encode()) < 10_000_000


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_map_is_turned_and_mirrored_but_not_stretched():
    points = np.random.default_rng(0).normal(size=(30, 2))
    for angle in (0.3, 2.0):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        for mirror in ([1, 1], [1, -1]):
            moved = points @ (turn * mirror)
            np.testing.assert_allclose(turn_towards(moved, points), points, atol=1e-12)
    other = np.random.default_rng(1).normal(size=(30, 2))
    turned = turn_towards(other, points)
    np.testing.assert_allclose(turned @ turned.T, other @ other.T)


PROBE = """
setTimeout(() => {
  const wide = [...document.querySelectorAll("body *")].filter((each) =>
    !each.closest("svg, .near, .sheet") && each.getBoundingClientRect().right > innerWidth + 1);
  document.querySelector(".others .thumb").click();
  const chosen = document.querySelectorAll("#dock-near .near").length;
  const first = document.querySelector("#dock-name").textContent;
  document.querySelector("#dock-near .thumb").click();
  const map = document.querySelector("svg[data-map]");
  const box = map.getBoundingClientRect();
  const [clientX, clientY] = [box.left + box.width / 2, box.top + box.height / 2];
  map.dispatchEvent(new PointerEvent("pointermove", {clientX, clientY}));
  const point = new PointerEvent("pointermove", {clientX: 99, clientY: 99});
  document.querySelector("svg[data-chart]").dispatchEvent(point);
  console.log("PROBE " + JSON.stringify({
    wide: wide.map((each) => each.tagName + "." + each.className), chosen,
    moved: first !== document.querySelector("#dock-name").textContent,
    near: document.querySelectorAll("#dock-near .thumb").length,
    rings: document.querySelectorAll(".ring.on").length,
    named: map.parentElement.querySelector("output").textContent.length > 0,
    hover: document.querySelectorAll(".hover.on").length,
    width: innerWidth,
  }));
}, 500);
"""


def test_a_browser_shows_it_without_a_complaint(
    two_runs: list[Path], tmp_path: Path, console: Console
):
    page = write_comparison(two_runs, tmp_path)
    assert console(page, tmp_path / "profile", width=1280) == []


@pytest.mark.parametrize("width", [390, 1280])
def test_clicking_works_and_nothing_sticks_out(
    two_runs: list[Path], tmp_path: Path, console: Console, width: int
):
    page = write_comparison(two_runs, tmp_path)
    digest = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode()
    probed = page.read_text(encoding="utf-8")
    probed = probed.replace("script-src '", f"script-src 'sha256-{digest}' '", 1)
    page.write_text(probed.replace("</body>", f"<script>{PROBE}</script></body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"  # a window has a least width; a frame has none
    style = f"width:{width}px;height:900px;border:0"
    frame.write_text(
        f'<body style="margin:0"><iframe style="{style}" src="{page.as_uri()}"></iframe>'
    )
    lines = console(frame, tmp_path / "profile", width=1400)
    assert len(lines) == 1, lines
    found = json.loads(html.unescape(re.search(r"PROBE (\{.*\})", lines[0])[1]))
    assert found == {
        "wide": [],
        "chosen": 2,
        "moved": True,
        "near": 20,
        "rings": 2,
        "named": True,
        "hover": 1,
        "width": width,
    }
