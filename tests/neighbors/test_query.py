"""A query is one file or all images of a source; what cannot be read is told."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import DataError, UsageError
from lookalike.neighbors.query import open_query, read_query


def test_a_file_is_one_image(encoder, photos):
    path = photos / "a/00.png"
    query = read_query(path, encoder)
    assert query.images.ids == query.vectors.ids == (str(path),)
    np.testing.assert_allclose(query.vectors.vectors, encoder.encode(path), atol=1e-6)
    assert query.unreadable == ()


def test_a_folder_is_all_its_images(encoder, photos):
    query = read_query(photos, encoder, batch_size=3)
    assert len(query.images) == 11
    assert [one.id for one in query.unreadable] == ["b/bad.jpg"]
    wanted = encoder.encode([photos / name for name in query.images.ids])
    np.testing.assert_allclose(query.vectors.vectors, wanted, atol=1e-6)


def test_a_file_without_an_extension_is_an_image_if_it_is_one(encoder, photos):
    plain = (photos / "a/00.png").rename(photos / "a/plain")
    assert read_query(plain, encoder).vectors.vectors.shape == (1, encoder.dim)


def test_tells_what_cannot_be_read(encoder, photos, tmp_path):
    with pytest.raises(DataError, match=r"bad\.jpg: .*\n.*ask about another"):
        read_query(photos / "b/bad.jpg", encoder)
    with pytest.raises(UsageError, match="does not exist"):
        open_query(tmp_path / "none.jpg")
