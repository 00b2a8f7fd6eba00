"""Rows lead back to their own images, of every part; what is gone is left out."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from lookalike.data.decode import centre_square, decode
from lookalike.neighbors.collection import Collection
from lookalike.neighbors.embedding import add_source, embed_source
from lookalike.neighbors.pictures import find_images, load_thumbs


@pytest.fixture
def parts(encoder, photos, tmp_path) -> Collection:
    """Return a collection of two parts."""
    first = embed_source(encoder, photos / "b", out=tmp_path / "a", max_unreadable=1).collection
    return add_source(first, encoder, photos / "a").collection


def test_every_row_has_its_own_picture(parts, photos):
    rows = np.array([9, 0, 4, 7, 0])
    thumbs = load_thumbs(parts, rows, 20)
    assert sorted(thumbs) == [0, 4, 7, 9]
    for row, thumb in thumbs.items():
        path = photos / ("b" if row < 5 else "a") / parts.ids[row]
        assert np.array_equal(thumb, centre_square(decode(path.read_bytes(), at_least=20), 20))


def test_what_is_gone_is_left_out(parts, photos):
    (photos / "b" / parts.ids[2]).unlink()
    everything = np.arange(11)
    assert sorted(load_thumbs(parts, everything, 20)) == [0, 1, *range(3, 11)]
    shutil.rmtree(photos / "a")
    found = {row for rows, _ in find_images(parts, everything) for row in rows.tolist()}
    assert found == {0, 1, 3, 4}


def test_a_collection_of_unknown_origin_has_no_pictures(collection):
    assert load_thumbs(collection, np.arange(12), 20) == {}
