"""Pages of duplicates and leaks show groups, what to keep, and the pairs to decide on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike.curation.album import Album
from lookalike.curation.duplicates import Duplicates, Member
from lookalike.curation.leaks import Leak, Leaks
from lookalike.curation.looks import Looks
from lookalike.curation.matches import Matches
from lookalike.curation.threshold import choose_threshold
from lookalike.data.image_set import ImageSet
from lookalike.embeddings import Embeddings
from lookalike.report.duplicates import write_leaks, write_review


class Squares:
    """Pictures of one shade each."""

    def read(self, key: int, limit: int | None = None) -> np.ndarray:
        return np.full((8, 8, 3), key, np.uint8)


def album(name: str, count: int = 6) -> Album:
    ids = tuple(f"{name}{number}.png" for number in range(count))
    labels = np.full(count, -1)
    images = ImageSet(name, ids, labels, (), Squares(), np.arange(count))
    return Album(images, Embeddings(np.eye(count, dtype=np.float32), ids, labels), 0, "f" * 64)


@pytest.fixture
def matches() -> Matches:
    """Return four pairs, two that count and two that do not."""
    scores = np.array([0.99, 0.93, 0.85, 0.3], dtype=np.float32)
    copies = np.full(50, 0.95, np.float32)
    chance = np.array([0.25, 0.0], dtype=np.float32)
    threshold = choose_threshold(
        scores, copies=copies, kinds=["resized"] * 50, decoys=chance, searched=6
    )
    pairs = np.array([[0, 1], [2, 3], [4, 5], [1, 5]])
    kinds = np.array(["altered copy", "mirrored copy", "altered copy", ""])
    planted = ("resized",) * 50
    return Matches(pairs, scores, kinds, scores / 2, threshold, copies, planted, chance, 6, 1.0)


def looks() -> Looks:
    return Looks(
        np.zeros((6, 64, 64), np.uint8),
        np.zeros((0, 64, 64), np.uint8),
        np.zeros(0, np.int64),
        np.zeros((6, 4), np.float32),
        (b"",) * 6,
        np.full((6, 2), 8),
        np.full(6, 1500),
        np.arange(6),
    )


@pytest.fixture
def found(matches) -> Duplicates:

    def group(kept: int, other: int, score: float) -> tuple[Member, ...]:
        return (
            Member(position=kept, keep=True, score=1.0, reason="the largest"),
            Member(position=other, keep=False, score=score, reason="mirrored copy"),
        )

    groups = (group(1, 0, 0.99), group(2, 3, 0.93))
    return Duplicates(album("photo"), looks(), groups, matches, 0, 0, 0)


def sections(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8")
    parts = re.split(r'<section id="(\w+)">', text)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def titles(section: str) -> list[str]:
    return re.findall(r'title="([^"]+)"', section)


def test_groups_show_what_is_kept_first(found, tmp_path):
    write_review(found, tmp_path / "page.html")
    groups = sections(tmp_path / "page.html")["groups"]
    assert [title.partition(" · ")[0] for title in titles(groups)] == [
        "photo1.png",
        "photo0.png",
        "photo2.png",
        "photo3.png",
    ]
    assert re.findall(r"<figcaption>([^<]+)<", groups) == [
        "keep",
        "0.990 mirrored copy",
        "keep",
        "0.930 mirrored copy",
    ]
    assert re.findall(r'class="thumb ([a-z]*)"', groups) == ["good", "", "good", ""]
    assert "photo1.png · 8 x 8, 2 kB · the largest" in titles(groups)


def test_borderline_pairs_say_whether_they_count(found, tmp_path):
    write_review(found, tmp_path / "page.html")
    border = sections(tmp_path / "page.html")["borderline"]
    headings = re.findall(r'class="heading">([^<]+)<', border)
    assert headings == ["0.990", "0.930", "0.850", "0.300"]
    assert re.findall(r'class="thumb ([a-z]*)"', border) == ["good"] * 4 + ["bad"] * 4
    assert border.count("does not count") == 2


def test_the_result_says_how_the_threshold_came_about(found, tmp_path):
    write_review(found, tmp_path / "page.html")
    parts = sections(tmp_path / "page.html")
    assert list(parts) == ["result", "groups", "borderline", "measured"]  # pictures come first
    assert "2 groups; 2 of 6 images need not be kept" in parts["result"]
    assert "<svg" not in parts["result"]
    measured = parts["measured"]
    assert measured.index("finds 100.0%") < measured.index("estimated 100.0% of the 2 pairs")
    assert "resized 100% (93% to 100%)" in measured
    assert "Pairs count that agree to 0.900 or more" in measured
    assert all(f"way {kind} area" in measured for kind in ("copies", "pairs", "decoys"))


def test_without_copies_there_is_no_chart(found, tmp_path, matches):
    bare = replace(
        matches,
        pairs=matches.pairs[:0],
        scores=matches.scores[:0],
        kinds=matches.kinds[:0],
        cosines=matches.cosines[:0],
        copies=matches.scores[:0],
        planted=(),
    )
    nothing = Duplicates(found.album, found.looks, (), bare, 0, 0, 0)
    write_review(nothing, tmp_path / "page.html")
    assert "<svg" not in sections(tmp_path / "page.html")["measured"].partition('class="ways"')[0]


def test_leaks_show_test_beside_train(matches, tmp_path):
    leaks = (
        Leak(position=3, original=0, score=1.0, kind="same file"),
        Leak(position=4, original=2, score=0.93, kind="mirrored copy"),
    )
    write_leaks(
        Leaks(album("train"), album("test"), leaks, matches, 0, 0, *[looks()] * 2),
        tmp_path / "page.html",
    )
    told = sections(tmp_path / "page.html")
    assert titles(told["leaks"]) == ["test3.png", "train0.png", "test4.png", "train2.png"]
    assert "2 of 6 test images (33.3%) are in train" in told["result"]
    assert "same file" in told["leaks"]
    assert "mirrored copy" in told["leaks"]
    assert titles(told["borderline"])[:2] == ["train0.png", "test1.png"]
