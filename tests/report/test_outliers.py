"""The page of outliers shows the farthest first, and doubtful labels apart."""

from __future__ import annotations

import re

import numpy as np

from lookalike.curation.album import Album
from lookalike.curation.outliers import find_outliers
from lookalike.data.image_set import ImageSet
from lookalike.embeddings import Embeddings
from lookalike.report.outliers import IN_A_ROW, SHOWN, write_outliers


class Squares:
    """Pictures of one shade each."""

    def read(self, key: int, limit: int | None = None) -> np.ndarray:
        return np.full((8, 8, 3), key % 256, np.uint8)


def album(labelled: bool) -> Album:
    random = np.random.default_rng(0)
    centres = np.repeat(np.eye(4), [50, 50, 1, 0], axis=0)
    vectors = centres + random.normal(0, 0.1, centres.shape)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    labels = np.repeat([0, 1, 1], [50, 50, 1]) if labelled else np.full(101, -1)
    labels[7] = 1 if labelled else -1
    ids = tuple(f"{number:03d}.png" for number in range(101))
    images = ImageSet("some", ids, labels, ("cat", "dog"), Squares(), np.arange(101))
    return Album(images, Embeddings(vectors, ids, labels, ("cat", "dog")))


def test_the_farthest_come_first_and_outliers_are_framed(tmp_path):
    found = find_outliers(album(labelled=True))
    write_outliers(found, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    part = text.partition('id="outliers"')[2].partition('id="labels"')[0]
    shown = re.findall(r'title="(\d+)\.png', part)
    assert shown == [f"{position:03d}" for position in found.order[:SHOWN]]
    assert shown[0] == "100"
    marks = re.findall(r'class="thumb ([a-z]*)"', part)
    assert marks == ["bad"] * found.outside + [""] * (SHOWN - found.outside)
    assert part.count("<article") == SHOWN // IN_A_ROW


def test_doubtful_labels_have_their_own_part(tmp_path):
    found = find_outliers(album(labelled=True))
    write_outliers(found, tmp_path / "page.html")
    part = (tmp_path / "page.html").read_text().partition('id="labels"')[2]
    assert re.findall(r'title="(\d+)\.png', part) == ["007"]
    assert "of the votes; labelled dog" in part
    assert 'class="heading">cat<' in part


def test_without_labels_there_is_no_such_part(tmp_path):
    write_outliers(find_outliers(album(labelled=False)), tmp_path / "page.html")
    assert 'id="labels"' not in (tmp_path / "page.html").read_text()
