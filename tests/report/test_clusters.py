"""The sheet of clusters: every cluster, the right images, safe text, one file."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lookalike.data.image_set import ImageSet
from lookalike.evaluation.clustering import compare_with_labels
from lookalike.judging.clusters import Clusters, Grouping
from lookalike.report import clusters as module
from lookalike.report.clusters import write_sheet

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "</style><script>alert(1)</script>\"' onload=alert(2)"


class Squares:
    """Pictures of one colour each, told by their number."""

    def read(self, key: int, limit: int | None = None):
        return np.full((20, 20, 3), key, np.uint8)


def made_up(members: list[int], labels: list[int], *, names: tuple[str, ...] = ("a", "b")):
    """Return clusters of these members, the images of each farther and farther from its centre."""
    inside, kinds = np.array(members), np.array(labels)
    images = ImageSet(
        name="made up",
        ids=tuple(f"folder/{number:03d}.png" for number in range(len(members))),
        labels=kinds,
        class_names=names,
        reader=Squares(),
        keys=np.arange(len(members)),
    )
    far = np.where(inside >= 0, np.arange(len(members)) / 1000, np.nan).astype(np.float32)
    agreement = compare_with_labels(inside, kinds) if (kinds >= 0).any() else None
    grouping = Grouping(
        clusters=inside.max() + 1, unclustered=int((inside < 0).sum()), agreement=agreement
    )
    return Clusters(
        images=images,
        members=inside,
        distances=far,
        groupings={"encoder": grouping, "raw_pixels": grouping},
        method="kmeans",
        reason="k-means into 2 clusters, as asked",
        unreadable=0,
        seed=0,
        fingerprint="0123456789abcdef",
    )


class Page(HTMLParser):
    """The elements of a page, by article where they are in one."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.articles: list[list[dict[str, str]]] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "article":
            self.articles.append([])
        elif self.articles and "thumb" in (dict(attrs).get("class") or "").split():
            self.articles[-1].append(dict(attrs))

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def written(found: Clusters, folder: Path) -> Page:
    write_sheet(found, folder / "clusters.html")
    return Page(folder / "clusters.html")


def names(article: list[dict[str, str]]) -> list[str]:
    return [tile["title"].partition(" · ")[0] for tile in article]


def test_every_cluster_shows_its_images_from_the_most_typical(tmp_path):
    found = made_up([0, 1, 0, 1, 0, -1], [0, 1, 0, 0, 1, -1])
    page = written(found, tmp_path)
    assert [[int(name[7:10]) for name in names(each)] for each in page.articles] == [
        [0, 2, 4],
        [1, 3],
        [5],
    ]
    medoids = [["medoid" in tile["class"] for tile in each] for each in page.articles]
    assert medoids == [[True, False, False], [True, False], [True]]
    assert "2 clusters of made up" in page.text
    assert "In no cluster" in page.text


def test_other_classes_are_marked_where_one_is_most_of_a_cluster(tmp_path):
    page = written(made_up([0, 0, 0, 1, 1], [0, 0, 1, 0, 1]), tmp_path)
    odd = [["odd" in tile["class"].split() for tile in each] for each in page.articles]
    assert odd == [[False, False, True], [False, False]]  # half is not most


def test_scores_of_all_ways_are_told_where_labels_are_known(tmp_path):
    found = made_up([0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 0, 0])
    page = written(found, tmp_path)
    assert f"{found.groupings['encoder'].agreement.ami:.3f}" in page.text
    assert "raw pixels" in page.text
    without = written(made_up([0, 0, 1], [-1, -1, -1]), tmp_path)
    assert "AMI" not in without.text
    assert "dashed frame" not in without.text


def test_large_clusters_show_their_edge_as_well(tmp_path):
    page = written(made_up([0] * 200 + [1], [-1] * 201), tmp_path)
    shown = names(page.articles[0])
    assert len(shown) == module.OF_A_CLUSTER
    assert (shown[0], shown[-1]) == ("folder/000.png", "folder/199.png")
    assert "at even steps" in page.text


def test_more_clusters_than_fit_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_CLUSTERS", 2)
    page = written(made_up([0, 0, 0, 1, 1, 2, 3], [-1] * 7), tmp_path)
    assert len(page.articles) == 2
    assert "2 more clusters, of 2 images together" in page.text


def test_no_cluster_at_all_is_a_page_as_well(tmp_path):
    page = written(made_up([-1, -1, -1], [-1, -1, -1]), tmp_path)
    assert "0 clusters of made up" in page.text
    assert len(page.articles) == 1


def test_the_page_is_one_safe_file_and_the_same_each_time(tmp_path):
    found = made_up([0, 0, 1], [0, 1, 1], names=(HOSTILE, "b"))
    hostile = replace(found.images, ids=(HOSTILE, "\udcff.png", "c.png"), name=HOSTILE)
    found = replace(found, images=hostile)
    first = written(found, tmp_path)
    assert "script" not in first.tags
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", first.source)
    assert "default-src 'none'" in first.source
    assert written(found, tmp_path).source == first.source


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")
def test_a_browser_shows_it_without_a_complaint(tmp_path):
    written(made_up([0, 0, 1, 1, 1, -1], [0, 0, 1, 1, 0, 0]), tmp_path)
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--enable-logging=stderr", "--dump-dom"),
        f"--user-data-dir={tmp_path / 'profile'}",
        (tmp_path / "clusters.html").as_uri(),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "CONSOLE" not in shown.stderr
    assert shown.stdout.count("<article") == 3
