"""An album is the same images beside the same vectors, wherever these come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.curation.album import album_of, embed_album, open_album
from lookalike.data.sources import open_source
from lookalike.errors import DataError, UsageError
from lookalike.neighbors.collection import open_collection
from lookalike.neighbors.embedding import add_source, embed_source


@pytest.fixture
def vectors(encoder, photos, tmp_path) -> Path:
    """Return a collection of the photos."""
    options = {"dtype": "float32", "precision": "float32", "max_unreadable": 0.5}
    embed_source(encoder, photos, out=tmp_path / "photos.vec", **options)
    return tmp_path / "photos.vec"


def test_embeds_what_can_be_read(encoder, photos):
    album = embed_album(encoder, open_source(photos), max_unreadable=0.5)
    assert (len(album), album.unreadable) == (11, 1)
    assert album.images.ids == album.embeddings.ids
    np.testing.assert_allclose(
        album.embeddings.vectors, encoder.embed(open_source(photos)).vectors, atol=1e-6
    )
    assert album.folder == photos.absolute()
    assert album.fingerprint == encoder.fingerprint()
    with pytest.raises(DataError, match="1 of 12 images cannot be read"):
        embed_album(encoder, open_source(photos))


def test_a_collection_is_the_same_album(encoder, photos, vectors):
    fresh = embed_album(encoder, open_source(photos), max_unreadable=0.5)
    album = open_album(vectors)
    assert album.images.ids == fresh.images.ids
    np.testing.assert_allclose(album.embeddings.vectors, fresh.embeddings.vectors, atol=1e-6)
    assert [album.class_of(place) for place in range(11)] == [
        fresh.class_of(place) for place in range(11)
    ]
    assert [album.images.read(place) for place in range(11)] == [
        fresh.images.read(place) for place in range(11)
    ]
    assert (album.unreadable, album.folder, album.fingerprint) == (
        fresh.unreadable,
        fresh.folder,
        fresh.fingerprint,
    )


def test_a_run_with_a_source_is_too(encoder, photos, vectors):
    (photos / "b/bad.jpg").unlink()
    album = open_album(vectors, photos)  # its model folder serves as a run's
    np.testing.assert_allclose(
        album.embeddings.vectors, open_album(vectors).embeddings.vectors, atol=1e-5
    )


def test_images_of_several_sources_are_read_where_they_are(encoder, photos, vectors, tmp_path):
    more = tmp_path / "more"
    (more / "c").mkdir(parents=True)
    for name in ("x.png", "y.png"):
        (more / "c" / name).write_bytes(next((photos / "a").iterdir()).read_bytes())
    added = add_source(open_collection(vectors), encoder, more).collection
    assert added is not None
    album = album_of(added)
    assert len(album) == 13
    assert album.folder is None
    for place, name in enumerate(album.images.ids):
        root = more if name in {"c/x.png", "c/y.png", "x.png", "y.png"} else photos
        assert album.images.read(place) == (root / name).read_bytes()


def test_selecting_keeps_images_and_vectors_together(vectors):
    album = open_album(vectors)
    some = album.select([7, 2])
    assert some.images.ids == some.embeddings.ids == (album.images.ids[7], album.images.ids[2])
    np.testing.assert_array_equal(some.embeddings.vectors, album.embeddings.vectors[[7, 2]])


def test_a_limit_draws_the_same_each_time(vectors):
    first, again = (open_album(vectors, limit=4, seed=1).images.ids for _ in range(2))
    assert len(first) == 4
    assert first == again != open_album(vectors, limit=4, seed=2).images.ids
    with pytest.raises(ValueError, match="limit must be at least 1"):
        open_album(vectors, limit=0)


def test_says_what_is_gone(photos, vectors):
    (photos / "a/00.png").unlink()
    with pytest.raises(DataError, match=r"1 images of .*are not where they were.*a/00.png"):
        open_album(vectors)


def test_a_collection_whose_source_is_nowhere_is_refused(collection):
    with pytest.raises(UsageError, match="somewhere does not exist"):
        album_of(collection)


def test_says_what_is_no_album(photos, vectors, tmp_path):
    with pytest.raises(UsageError, match="is no collection, so a SOURCE"):
        open_album(photos)
    with pytest.raises(UsageError, match="has no split"):
        open_album(vectors, split="test")
    with pytest.raises(UsageError, match="is no model"):
        open_album(tmp_path, photos)


def test_a_source_of_nothing_readable_is_refused(encoder, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"bad")
    with pytest.raises(DataError, match="none of the 1 images"):
        embed_album(encoder, open_source(tmp_path), max_unreadable=1)
