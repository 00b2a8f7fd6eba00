"""The page of a selection shows its images in their order, with why."""

from __future__ import annotations

import re

import numpy as np

from lookalike.curation.album import Album
from lookalike.curation.select import Selection, select_images
from lookalike.data.image_set import ImageSet
from lookalike.embeddings import Embeddings
from lookalike.report.selection import write_selection


class Squares:
    """Pictures of one shade each."""

    def read(self, key: int, limit: int | None = None) -> np.ndarray:
        return np.full((8, 8, 3), key, np.uint8)


def selected(count: int) -> Selection:
    vectors = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    ids = tuple(f"{number:03d}.png" for number in range(30))
    labels = np.full(30, -1)
    images = ImageSet("some", ids, labels, (), Squares(), np.arange(30))
    return select_images(
        Album(images, Embeddings(vectors, ids, labels)), count=count, by="k-center"
    )


def test_images_are_in_the_order_of_the_choice(tmp_path):
    found = selected(23)
    write_selection(found, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    shown = re.findall(r'title="(\d+)\.png · ([^"]+)"', text)
    assert shown == [(f"{pick.position:03d}", pick.reason) for pick in found.picks]
    assert re.findall(r'class="heading">([^<]+)<', text) == ["1 to 10", "11 to 20", "21 to 23"]
    assert re.findall(r"<figcaption>(\d+)<", text) == [str(place) for place in range(1, 24)]


def test_nothing_chosen_is_a_page_as_well(tmp_path):
    found = selected(1)
    write_selection(Selection(found.album, (), found.by, 30, found.seed), tmp_path / "page.html")
    assert "0 images of some to label" in (tmp_path / "page.html").read_text()
