"""The report as a file: whole, safe, offline, honest."""

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.report.html import flatten, write_report

SECTIONS = ["result", "collapse", "curves", "views", "neighbours", "map", "confusion", "details"]
VOID = {"meta", "link", "img", "br", "wbr", "input"}
HOSTILE = (
    "</script><script>alert(1)</script>\"' onload=alert(2) <img src=http://evil/x>\u202e\u2028ü"
)

Run = Callable[..., Path]
Console = Callable[..., list[str]]


class Page(HTMLParser):
    """The elements and texts of a page; fails on tags that do not nest."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self._open: list[str] = []
        self.feed(self.source)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        kinds = {"script": self.scripts, "style": self.styles}
        kinds.get(self._open[-1] if self._open else "", self.texts).append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split()).replace("\u00a0", " ")

    @property
    def ids(self) -> list[str | None]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])


def test_all_sections_are_there_in_order(full_run: Path) -> None:
    page = Page(write_report(full_run))
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    assert len(page.ids) == len(set(page.ids))
    assert "The run folder has no" not in page.text
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == 1
    assert tags.count("canvas") == 1
    assert sum("data-chart" in attributes for _, attributes in page.elements) == 9


def test_a_minimal_run_says_what_is_missing(minimal_run: Path) -> None:
    page = Page(write_report(minimal_run))
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    for name in ("evaluation.json", "views.png", "gallery.npz", "unreadable.csv"):
        assert f"The run folder has no {name}." in page.text
    assert "lookalike evaluate" in page.text
    assert page.data["gallery"] is None


def test_a_folder_with_an_empty_run_json_is_enough(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    page = Page(write_report(tmp_path))
    assert "metrics.jsonl holds no training rows yet." in page.text


def test_numbers_are_those_of_the_json(full_run: Path) -> None:
    evaluation = json.loads((full_run / "evaluation.json").read_text())
    page = Page(write_report(full_run))
    for name in ("knn_top1", "linear_top1", "raw_pixels_knn_top1", "untrained_knn_top1"):
        assert f"{100 * evaluation[name]:.1f} %" in page.text
    low, high = evaluation["knn_top1_ci95"]
    assert f"95 % interval {100 * low:.1f} to {100 * high:.1f} %" in page.text
    assert evaluation["protocol"][1:] in page.text
    last = json.loads((full_run / "metrics.jsonl").read_text().splitlines()[-2])
    assert f"{last['loss']:.4g}, mean" in page.text
    points = page.data["charts"]["loss over step"]
    assert points[-1][2].startswith(f"{last['loss']:.4g}, mean")
    confusion = np.array(evaluation["confusion"])
    counts = [int(count) for count in re.findall(r"<text x=[^>]*>(\d+)</text>", page.source)]
    assert sorted(counts) == sorted(confusion[confusion > 0].tolist())
    assert f"{confusion.trace():,} of {confusion.sum():,} are" in page.text


def test_nothing_is_loaded_from_anywhere(full_run: Path) -> None:
    page = Page(write_report(full_run))
    policy = next(
        attributes["content"]
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    script = page.scripts[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    for tag, attributes in page.elements:
        assert tag not in {"iframe", "object", "embed", "base", "form", "audio", "video"}
        for name in ("src", "href", "srcset", "action", "background"):
            if name in attributes:
                assert str(attributes[name]).startswith(("data:", "#")), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
        assert "url(" not in (attributes.get("style") or "")
    style = "".join(page.styles)
    assert "@import" not in style
    assert all(found.startswith("data:") for found in re.findall(r"url\(['\"]?(.{5})", style))
    assert not re.search(r"https?:", page.source)
    assert not re.search(r"\bfetch\(|XMLHttpRequest|innerHTML|eval\(|import\(", script)


def test_hostile_names_stay_text(tmp_path: Path, write_run: Run) -> None:
    run = write_run(tmp_path / "run", count=20, classes=2)
    with np.load(run / "gallery.npz") as table:
        arrays = dict(table)
    arrays["ids"] = np.array([f"{HOSTILE}{i}" for i in range(20)])
    arrays["class_names"] = np.array([f"{HOSTILE}a", f"{HOSTILE}b"])
    np.savez(run / "gallery.npz", **arrays)
    evaluation = json.loads((run / "evaluation.json").read_text())
    evaluation |= {"class_names": [HOSTILE, "x"], "protocol": HOSTILE, "k": HOSTILE}
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    record = json.loads((run / "run.json").read_text())
    record["resolved"] |= {"source": HOSTILE, "method": HOSTILE, HOSTILE: {HOSTILE: HOSTILE}}
    record |= {"lookalike": HOSTILE, "started": HOSTILE, "status": HOSTILE, "command": [HOSTILE]}
    record["choices"] = [{"name": HOSTILE, "value": HOSTILE, "reason": HOSTILE}]
    record["environment"] = {HOSTILE: HOSTILE}
    (run / "run.json").write_text(json.dumps(record))
    row = {"kind": "train", "step": 1, "epoch": 1, "loss": 1.0, "lr": 0.1, HOSTILE: 2.0}
    (run / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    (run / "unreadable.csv").write_text(f'id,reason\n"{HOSTILE.replace(chr(34), "")}","<b>"\n')

    page = Page(write_report(run))
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not any(tag == "img" and "alt" not in each for tag, each in page.elements)
    assert not any(name.startswith("on") for _, each in page.elements for name in each)
    assert "alert(1)" not in "".join(page.scripts[1:])
    assert page.data["gallery"]["names"][3] == f"{HOSTILE}3"
    titles = {each.get("title") for _, each in page.elements}
    assert f"{HOSTILE}3" in titles or any(f"{HOSTILE}{i}" in titles for i in range(20))


def test_a_name_that_is_no_text_is_shown_by_its_bytes(tmp_path: Path, write_run: Run) -> None:
    run = write_run(tmp_path / "run", count=20, classes=2)
    (run / "unreadable.csv").write_bytes(b"id,reason\ncaf\xe9.jpg,truncated\n")
    assert "caf\\udce9.jpg" in write_report(run).read_text(encoding="utf-8")


def test_only_the_first_unreadable_images_are_listed(full_run: Path) -> None:
    rows = "".join(f"bad-{i}.jpg,truncated\n" for i in range(1234))
    (full_run / "unreadable.csv").write_text(f"id,reason\n{rows}")
    text = Page(write_report(full_run)).text
    assert "1,234 images could not be read" in text
    assert "bad-49.jpg" in text
    assert "bad-50.jpg" not in text


def test_damage_is_told_and_the_rest_is_shown(full_run: Path) -> None:
    with open(full_run / "metrics.jsonl", "a") as file:
        file.write('{"kind": "tra')
    (full_run / "views.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (full_run / "gallery.npz").write_bytes(b"PK broken")
    (full_run / "evaluation.json").write_text(
        '{"knn_top1": 0.5, "confusion": [[1]], "class_names": []}'
    )
    page = Page(write_report(full_run))
    assert "1 of its lines cannot be read and are left out" in page.text
    assert "views.png cannot be shown" in page.text
    assert "gallery.npz cannot be shown" in page.text
    assert "50.0 %" in page.text
    assert "loss over step" in page.data["charts"]


def test_a_failed_run_shows_its_last_words(full_run: Path) -> None:
    record = json.loads((full_run / "run.json").read_text())
    (full_run / "run.json").write_text(json.dumps(record | {"status": "failed"}))
    text = Page(write_report(full_run)).text
    assert "Stopped by an error" in text
    assert "the end" in text


def test_the_same_run_gives_the_same_bytes(full_run: Path, tmp_path: Path) -> None:
    first = write_report(full_run, tmp_path / "a.html").read_bytes()
    assert write_report(full_run, tmp_path / "new folder" / "b.html").read_bytes() == first


def test_the_report_goes_where_it_is_asked_to(full_run: Path, tmp_path: Path) -> None:
    assert write_report(str(full_run)) == full_run / "report.html"
    assert write_report(full_run, tmp_path) == tmp_path / "report.html"
    with pytest.raises(UsageError):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize("classes", [1, 100])
def test_few_and_many_classes(tmp_path: Path, write_run: Run, classes: int) -> None:
    page = Page(write_report(write_run(tmp_path / "run", count=300, classes=classes)))
    assert sum("data-label" in attributes for _, attributes in page.elements) == classes
    assert page.source.count('scope="row" class="name"') == classes + 1  # and one unreadable image


def test_two_thousand_noisy_images_fit_and_are_quick(tmp_path: Path, write_run: Run) -> None:
    run = write_run(tmp_path / "run", count=2000, classes=10)
    with np.load(run / "gallery.npz") as table:
        arrays = dict(table)
    noise = np.random.default_rng(0).integers(0, 256, (2000, 64, 64, 3), dtype=np.uint8)
    np.savez(run / "gallery.npz", **(arrays | {"thumbs": noise}))  # nothing compresses worse
    began = time.process_time()
    path = write_report(run)
    assert time.process_time() - began < 20  # about 1 s; this catches only a wrong order of growth
    assert path.stat().st_size < 10_000_000


def test_nested_settings_become_dotted_names() -> None:
    settings = {"a": 1, "b": {"c": [1, 2], "d": None}, "e": [{"f": "x"}], "g": {}, "h": []}
    assert flatten(settings) == [
        ("a", "1"),
        ("b.c", "1, 2"),
        ("b.d", "none"),
        ("e.0.f", "x"),
        ("g", "none"),
        ("h", "none"),
    ]


def test_torch_is_not_needed() -> None:
    code = "import sys, lookalike.report.html; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=300).returncode == 0


PROBE = """
setTimeout(() => {
  const wide = [...document.querySelectorAll("body *")].filter(
    (each) => !each.closest("svg, .near") && each.getBoundingClientRect().right > innerWidth + 1);
  document.querySelector(".others .thumb").click();
  const chosen = document.querySelectorAll("#dock-near .thumb").length;
  const move = () => new PointerEvent("pointermove", {clientX: 99, clientY: 99});
  document.querySelector("svg[data-chart]").dispatchEvent(move());
  document.querySelector("#map-canvas").dispatchEvent(move());
  document.querySelector("#map-zoom button").click();
  document.querySelector("[data-label]").click();
  console.log("PROBE " + JSON.stringify({
    wide: wide.map((each) => each.tagName + "." + each.className), chosen,
    hover: document.querySelectorAll(".hover.on").length,
    dock: !document.querySelector("#dock").hidden,
    map: !document.querySelector("#map-canvas").hidden,
    width: innerWidth,
  }));
}, 500);
"""


def test_a_browser_shows_it_without_a_complaint(
    full_run: Path, tmp_path: Path, console: Console
) -> None:
    page = write_report(full_run)
    assert console(page, tmp_path / "profile", width=1280) == []


@pytest.mark.parametrize("width", [390, 1280])
def test_clicking_works_and_nothing_sticks_out(
    full_run: Path, tmp_path: Path, console: Console, width: int
) -> None:
    page = write_report(full_run)
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
        "chosen": 12,
        "hover": 1,
        "dock": True,
        "map": True,
        "width": width,
    }
