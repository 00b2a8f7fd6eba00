"""Verification's page: its numbers, its warnings, names that are hostile, and a browser's word."""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.report.html import write_report
from lookalike.report.verification import understand, write_page

HOSTILE = "</script><script>alert(1)</script>\"' onload=alert(2) <img src=http://evil/x>\u202e"
THUMBS = np.random.default_rng(0).integers(0, 256, (8, 128, 128, 3), dtype=np.uint8)
IDS = [f"{side}/{place}.jpg" for side in "ab" for place in range(4)]


def written(record: dict[str, Any], folder: Path) -> str:
    path = write_page(record, folder / "page.html", thumbs=THUMBS, thumb_ids=IDS)
    return path.read_text(encoding="utf-8")


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split()).replace("\u00a0", " ")


class Tags(HTMLParser):
    """The start tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_numbers_are_those_of_the_json(verified: dict[str, Any], tmp_path: Path) -> None:
    page = written(verified, tmp_path)
    text = text_of(page)
    for way in verified["ways"].values():
        assert f"{100 * way['accuracy']:.1f} %" in text
        assert f"± {100 * way['accuracy_se']:.1f}" in text
        assert f"{way['auc']:.3f}" in text
        low, high = way["eer_ci95"]
        assert f"{100 * way['eer']:.1f} % {100 * low:.1f} to {100 * high:.1f}" in text
        assert f"{100 * way['tar_at_far'][1]['tar']:.1f} %" in text
    assert (
        "3,000 pairs of 2,000 images of faces, listed in pairs.txt: 1,500 same, 1,500 different."
        in text
    )
    assert "TAR at FAR 1 %" in text
    assert "TAR at FAR 0.1 %" not in text  # 1,500 different pairs cannot tell
    assert "A FAR below 0.667 % would let through fewer than 10 of the 1,500" in text
    charts = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["charts"]
    assert set(charts) == {"roc", "det", "scores"}
    for number, threshold in enumerate(verified["ways"]["encoder"]["fold_thresholds"], start=1):
        assert re.search(rf"\b{number} [\d.]+ % −?{abs(threshold):.4g}", text)


def test_hardest_pairs_are_shown_with_their_pictures(
    verified: dict[str, Any], tmp_path: Path
) -> None:
    page = written(verified, tmp_path)
    assert page.count('role="img" aria-label="a/') == 4 + 2
    assert "0.900" in page
    place = IDS.index("b/2.jpg")
    assert f'title="b/2.jpg" style="--x:{place % 3};--y:{place // 3}"' in page
    fewer = write_page(verified, tmp_path / "p.html", thumbs=THUMBS[:0], thumb_ids=[]).read_text()
    assert fewer.count('class="thumb lost"') == 2 * (4 + 2)


def changed(record: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return a copy with other values, those of the encoder as encoder__NAME."""
    record = copy.deepcopy(record)
    for name, value in values.items():
        way, _, inner = name.partition("__")
        target = record["ways"][way] if inner else record
        target[inner or name] = value
    return record


@pytest.mark.parametrize(
    ("accuracy", "error", "said"),
    [
        (0.5, 0.001, "Training has not paid off"),
        (0.95, 0.001, "points above the best baseline, raw pixels"),
        (0.95, 0.5, "too close to be sure"),
    ],
)
def test_the_verdict_is_the_comparisons(
    verified: dict[str, Any], accuracy: float, error: float, said: str
) -> None:
    record = changed(verified, encoder__accuracy=accuracy, encoder__accuracy_se=error)
    assert said in understand(record).verdict


def test_the_roc_is_summed_up_by_what_can_be_told(verified: dict[str, Any]) -> None:
    def said(known: int) -> str:
        record = copy.deepcopy(verified)
        for point in record["ways"]["encoder"]["tar_at_far"][known:]:
            point["tar"] = None
        return understand(record).roc.latest.replace("\u00a0", " ")

    tar = [point["tar"] for point in verified["ways"]["encoder"]["tar_at_far"]]
    assert said(2) == f"{100 * tar[1]:.1f} % of same pairs accepted at a FAR of 1 %"
    assert said(1) == f"{100 * tar[0]:.1f} % of same pairs accepted at a FAR of 10 %"
    assert said(0) == f"area {verified['ways']['encoder']['auc']:.3f}"


def test_what_was_trained_on_and_left_out_is_told(verified: dict[str, Any], tmp_path: Path) -> None:
    quiet = text_of(written(verified, tmp_path))
    assert "trained on" not in quiet
    assert "left out" not in quiet
    record = changed(verified, trained_on=1234, skipped=5, unreadable_pairs=6)
    told = text_of(written(record, tmp_path))
    assert "1,234 of the 2,000 images in these pairs were trained on" in told
    assert "5 pairs were left out: the source lacks an image of theirs" in told
    assert "6 pairs were left out: an image of theirs cannot be read" in told


def test_without_folds_or_intervals(verified: dict[str, Any], tmp_path: Path) -> None:
    nothing = {"accuracy": None, "accuracy_se": None, "fold_accuracies": [], "fold_thresholds": []}
    record = copy.deepcopy(verified)
    for way in record["ways"].values():
        way.update(nothing | {"auc_ci95": None, "eer_ci95": None, "bootstraps": 0})
        for point in way["tar_at_far"]:
            point["tar_ci95"] = None
    text = text_of(written(record, tmp_path))
    assert "Pairs judged right" not in text
    assert "bootstraps" not in text
    assert "Equal error rate" in text


@pytest.mark.parametrize(
    "damage",
    [
        {"ways": {}},
        {"ways": {"encoder": {}}},
        {"encoder__roc": {"far": [], "tar": [], "threshold": []}},
        {"encoder__roc": 3},
        {"encoder__accuracy": "much"},
        {"encoder__histogram": {"edges": [0, 1], "same": ["x"], "different": [1]}},
        {"encoder__eer": None},
        {"pairs": None},
    ],
)
def test_what_is_no_verification_is_refused_and_the_report_goes_on(
    verified: dict[str, Any], minimal_run: Path, damage: dict[str, Any]
) -> None:
    record = changed(verified, **damage)
    with pytest.raises(ValueError, match=r"."):
        understand(record)
    (minimal_run / "verification.json").write_text(json.dumps(record))
    text = text_of(write_report(minimal_run).read_text())
    assert "verification.json cannot be shown" in text


def test_the_report_shows_roc_and_table(verified: dict[str, Any], full_run: Path) -> None:
    before = write_report(full_run).read_text()
    assert 'href="#verification"' not in before
    (full_run / "verification.json").write_text(json.dumps(verified))
    page = write_report(full_run).read_text()
    assert 'href="#verification"' in page
    assert 'data-chart="roc"' in page
    assert f"{verified['ways']['encoder']['auc']:.3f}" in page
    assert "roc" in json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["charts"]
    (full_run / "verification.json").write_text("{")
    assert "verification.json cannot be shown" in write_report(full_run).read_text()


def test_hostile_names_stay_text_and_nothing_is_loaded(
    verified: dict[str, Any], tmp_path: Path
) -> None:
    record = copy.deepcopy(verified)
    record |= {"source": HOSTILE, "list": HOSTILE, "fingerprint": HOSTILE}
    for pair in record["most_alike_different"]:
        pair |= {"first": HOSTILE, "second": HOSTILE}
    for way in record["ways"].values():
        way["folds"] = HOSTILE
    page = written(record, tmp_path)
    tags = Tags(page).found
    assert [tag for tag, _ in tags].count("script") == 2
    assert not any(tag in {"img", "iframe", "link"} and "data:," not in str(a) for tag, a in tags)
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    for _, attributes in tags:
        for name in ("src", "href"):
            assert str(attributes.get(name, "#")).startswith(("data:", "#"))
    urls = re.findall(r"url\((.{5})", page)
    assert urls == ["data:"]
    clean = written(verified, tmp_path)
    assert not re.search(r"https?:", clean)


def test_the_same_record_gives_the_same_bytes(verified: dict[str, Any], tmp_path: Path) -> None:
    assert written(verified, tmp_path) == written(verified, tmp_path)


PROBE = """
setTimeout(() => {
  const wide = [...document.querySelectorAll("body *")].filter(
    (each) => !each.closest("svg") && each.getBoundingClientRect().right > innerWidth + 1);
  const said = [...document.querySelectorAll("svg[data-chart]")].map((chart) => {
    const box = chart.getBoundingClientRect();
    const at = {clientX: box.left + box.width / 2, clientY: box.top + box.height / 2};
    chart.dispatchEvent(new PointerEvent("pointermove", at));
    return chart.parentElement.querySelector("output").textContent;
  });
  console.log("PROBE " + JSON.stringify({
    wide: wide.map((each) => each.tagName + "." + each.className), said, width: innerWidth,
  }));
}, 500);
"""


@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_it_and_nothing_sticks_out(
    verified: dict[str, Any], tmp_path: Path, console: Callable[..., list[str]], width: int
) -> None:
    digest = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode()
    page = written(verified, tmp_path)
    page = page.replace("script-src '", f"script-src 'sha256-{digest}' '", 1)
    probed = tmp_path / "probed.html"
    probed.write_text(page.replace("</body>", f"<script>{PROBE}</script></body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"  # a window has a least width; a frame has none
    style = f"width:{width}px;height:900px;border:0"
    frame.write_text(
        f'<body style="margin:0"><iframe style="{style}" src="{probed.as_uri()}"></iframe>'
    )
    lines = console(frame, tmp_path / "profile", width=1400)
    assert len(lines) == 1, lines
    found = json.loads(html.unescape(re.search(r"PROBE (\{.*\})", lines[0])[1]))
    assert (found["wide"], found["width"]) == ([], width)
    roc, det, scores = found["said"]
    assert re.match(r"FAR .*, TAR .* from .* on", roc)
    assert re.match(r"FAR .*, FRR .* from .* on", det)
    assert re.match(r"from .* on: .* of same and .* of different pairs", scores)
