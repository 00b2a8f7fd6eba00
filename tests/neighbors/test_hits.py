"""What was found is told with ids, cosines and columns, a query at a time."""

from __future__ import annotations

import json
import shutil

import numpy as np
from PIL import Image

from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.neighbors.embedding import embed_source
from lookalike.neighbors.hits import make_hits, without
from lookalike.neighbors.index import Index
from lookalike.neighbors.notebook import SIDE

from .conftest import Page, animals


def found():
    cosines = np.array([[0.9, 0.8], [0.7, -np.inf]], np.float32)
    rows = np.array([[3, 1], [2, -1]])
    return make_hits(animals(5), cosines, rows, ("a", "b"), how="exact", seconds=0.5)


def test_each_query_has_its_own_neighbours():
    hits = found()
    assert len(hits) == 2
    assert hits.ids == (("003.jpg", "001.jpg"), ("002.jpg",))
    assert [[name for name, _ in each] for each in hits] == [["003.jpg", "001.jpg"], ["002.jpg"]]
    assert hits.columns["class"] == (("cat", "dog"), (None,))
    assert hits.columns["year"] == ((2003, 2001), (2002,))


def test_lines_and_json_tell_the_same():
    assert found().lines() == [
        "a",
        "   0.900  003.jpg  (cat)",
        "   0.800  001.jpg  (dog)",
        "b",
        "   0.700  002.jpg",
        "(exact, 500 ms)",
    ]
    told = json.loads(json.dumps(found().to_json()))
    assert told["how"] == "exact"
    first = told["queries"][0]
    assert first["query"] == "a"
    assert [each["id"] for each in first["neighbours"]] == ["003.jpg", "001.jpg"]
    assert [each["class"] for each in first["neighbours"]] == ["cat", "dog"]
    assert len(told["queries"][1]["neighbours"]) == 1


def test_no_query_is_no_line():
    hits = make_hits(
        animals(5), np.zeros((0, 2)), np.zeros((0, 2), int), (), how="exact", seconds=0
    )
    assert hits.ids == ()
    assert hits.to_json()["queries"] == []


def test_a_query_is_not_its_own_neighbour():
    rows = np.array([[4, 7, 2], [1, 2, 3]])
    cosines = np.array([[1.0, 0.9, 0.8], [0.6, 0.5, 0.4]], np.float32)
    left, places = without(np.array([7, 9]), cosines, rows)
    assert places.tolist() == [[4, 2, -1], [1, 2, 3]]
    np.testing.assert_allclose(left, [[1.0, 0.8, -np.inf], [0.6, 0.5, 0.4]], rtol=1e-6)


def many(queries: int, k: int):
    rows = np.tile(np.arange(k), (queries, 1))
    cosines = np.linspace(1, 0, k, dtype=np.float32)[None].repeat(queries, 0)
    names = tuple(f"query {number}" for number in range(queries))
    return make_hits(animals(k), cosines, rows, names, how="exact", seconds=0.5)


def test_printed_it_is_short():
    assert repr(found()) == "Hits(2 queries, up to 2 images each, exact)"
    assert str(found()).splitlines() == found().lines()
    shown = str(many(47, 3)).splitlines()
    assert shown[:4] == many(47, 3).lines()[:4]
    assert sum(line.startswith("query") for line in shown) == 10
    assert shown[-1] == "and 37 more queries"


def test_a_notebook_shows_a_table_where_there_are_no_pictures():
    page = Page(many(12, 20)._repr_html_())
    assert page.pictures == []
    assert page.text.count("query ") == 10
    assert page.text.count(".jpg") == 10 * 12
    assert page.text.count("and 8 more") == 10
    assert "and 2 more queries" in page.text


def test_a_notebook_shows_each_image_beside_its_similarity(photos, encoder, tmp_path):
    embed_source(encoder, photos, out=tmp_path / "x.vec", max_unreadable=0.1)
    index = Index.open(tmp_path / "x.vec")
    asked = photos / "a/02.png"
    own = [index.search_ids(["a/02.png", "b/01.png"], 2)]
    for hits in (index.search(str(asked), 3), index.search(Image.open(asked), 3), *own):
        page = Page(hits._repr_html_())
        assert len(page.pictures) == sum(1 + len(ids) for ids in hits.ids)
        ids = ["a/02.png", *hits.ids[0]]
        for name, picture in zip(ids, page.pictures, strict=False):
            whole, _ = load_squares(open_source(photos).select([index.ids.index(name)]), SIDE)
            far = np.abs(picture.astype(int) - whole[0].transpose(1, 2, 0)).mean()
            assert far < 4, "JPEG moves a pixel a bit"
        for cosine in hits.cosines[0]:
            assert f"{cosine:.3f}" in page.text

    hits = index.search(str(asked), 3)
    (photos / hits.ids[0][1]).unlink()
    page = Page(hits._repr_html_())
    assert len(page.pictures) == 3
    assert page.text.count("no picture") == 1
    shutil.rmtree(photos)
    assert "table" in dict(Page(hits._repr_html_()).tags)


def test_vectors_that_were_asked_about_have_no_picture(photos, encoder, tmp_path):
    embed_source(encoder, photos, out=tmp_path / "x.vec", max_unreadable=0.1)
    index = Index.open(tmp_path / "x.vec")
    page = Page(index.search(encoder.encode([photos / "a/02.png"]), 3)._repr_html_())
    assert len(page.pictures) == 3
