"""An index finds what sorting finds, as it grows, shrinks, is saved and gets an engine."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.embeddings import Embeddings
from lookalike.errors import DataError, UsageError
from lookalike.neighbors import index as module
from lookalike.neighbors.embedding import embed_source
from lookalike.neighbors.index import Index
from lookalike.neighbors.memory import IN_MEMORY

from .conftest import animals, unit


def sorted_ids(queries, vectors, ids, k, *, leave_out=None):
    found = []
    for number, query in enumerate(queries):
        order = np.argsort(-(vectors @ query), kind="stable")
        names = [ids[row] for row in order if leave_out is None or ids[row] != leave_out[number]]
        found.append(tuple(names[:k]))
    return tuple(found)


@pytest.fixture(params=["in memory", "on disk"])
def index(request, tmp_path) -> Index:
    """Return an index of 12 images."""
    table = animals(12).to_pydict()
    made = Index.build(unit(12), ids=table.pop("id"), columns=table, encoder="a" * 64)
    return made if request.param == "in memory" else made.save(tmp_path / "a.vec")


def test_it_finds_what_sorting_finds(index):
    queries = unit(4, seed=1)
    hits = index.search(3 * queries, k=5)
    assert hits.ids == sorted_ids(queries, unit(12), index.ids, 5)
    cosines = [
        [float(query @ unit(12)[row]) for row in rows]
        for query, rows in zip(queries, hits.rows, strict=True)
    ]
    np.testing.assert_allclose(hits.cosines, cosines, atol=1e-6)
    assert hits.how == "exact"
    assert hits.seconds >= 0
    assert index.search(queries[0], k=5).ids == hits.ids[:1], "one vector is one query"
    assert lookalike.Index is Index


def test_an_image_is_not_its_own_neighbour(index):
    names = ["003.jpg", "008.jpg"]
    hits = index.search_ids(names, k=4)
    assert hits.ids == sorted_ids(unit(12)[[3, 8]], unit(12), index.ids, 4, leave_out=names)
    assert hits.queries == tuple(names)
    assert index.search(unit(12)[3], k=1).ids == (("003.jpg",),), "a vector of unknown origin is"


def test_more_than_there_are_is_all_there_are(index):
    assert len(index.search(unit(1), k=99).ids[0]) == 12
    assert len(index.search_ids("003.jpg", k=99).ids[0]) == 11


def test_only_what_is_wanted_is_found(index):
    hits = index.search(unit(3, seed=1), k=3, where={"class": "cat"})
    cats = [row for row in range(12) if row % 3 == 0]
    names = [index.ids[row] for row in cats]
    assert hits.ids == sorted_ids(unit(3, seed=1), unit(12)[cats], names, 3)
    assert hits.columns["class"] == (("cat",) * 3,) * 3
    mixed = index.search_ids(["000.jpg", "001.jpg"], k=9, where={"class": "cat"})
    assert [len(each) for each in mixed.ids] == [3, 4], "a cat has one cat less to find"
    with pytest.raises(UsageError, match=r"no image where .*cow"):
        index.search(unit(1), where={"class": "cow"})
    with pytest.raises(UsageError, match="no column 'kind'"):
        index.search(unit(1), where={"kind": "cat"})


def test_it_grows_and_shrinks(index):
    more = unit(3, seed=5)
    index.add(2 * more, ids=["x", "y", "z"], columns={"class": ["cow"] * 3}, encoder="a" * 64)
    index.remove(["000.jpg", "y"])
    assert len(index) == 13
    assert index.ids == (*(f"{n:03d}.jpg" for n in range(1, 12)), "x", "z")
    left = np.concatenate([unit(12)[1:], more[[0, 2]]])
    queries = unit(4, seed=1)
    assert index.search(queries, k=13).ids == sorted_ids(queries, left, index.ids, 13)
    index.add(more[[1]], ids=["y"])
    assert index.search(more[1], k=1).ids == (("y",),)
    if index.path:
        assert Index.open(index.path).ids == index.ids, "on disk it is so at once"


def test_saving_leaves_removed_images_behind(index, tmp_path):
    index.remove("004.jpg")
    saved = index.save(tmp_path / "b.vec")
    assert len(saved.collection.vectors) == len(saved) == 11
    assert saved.collection.record.encoder == "a" * 64
    queries = unit(4, seed=1)
    assert saved.search(queries).ids == index.search(queries).ids
    assert index.save(tmp_path / "b.vec").ids == saved.ids, "the same call goes on, to the same"
    index.remove("005.jpg")
    with pytest.raises(UsageError, match="is a collection already"):
        index.save(tmp_path / "b.vec")


@pytest.mark.parametrize("written", [0, 1, 2])
def test_saving_that_was_cut_short_is_gone_on_from(tmp_path, monkeypatch, written):
    whole = Index.build(unit(8), ids=[f"{n}" for n in range(8)]).save(tmp_path / "a")
    for batch in range(2):
        whole.add(unit(3, seed=batch + 1), ids=[f"{batch}-{n}" for n in range(3)])
    steps = iter(range(written))
    real = module.append_rows

    def cut(*arguments, **settings):
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return real(*arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(module, "append_rows", cut)
        if written < 2:
            with pytest.raises(KeyboardInterrupt):
                whole.save(tmp_path / "cut")
        else:  # all is written, and the process is killed before it can say so
            whole.save(tmp_path / "cut")
    whole.save(tmp_path / "cut")
    whole.save(tmp_path / "sound")
    for path in (tmp_path / "sound").iterdir():
        assert (tmp_path / "cut" / path.name).read_bytes() == path.read_bytes()


def test_others_vectors_are_refused(index):
    with pytest.raises(UsageError, match="the query is of encoder bbbb"):
        index.search(unit(1), encoder="b" * 64)
    with pytest.raises(UsageError, match="what is to be added is of encoder bbbb"):
        index.add(unit(1), ids=["x"], encoder="b" * 64)
    for call in (index.search, lambda vectors: index.add(vectors, ids=["x"])):
        with pytest.raises(ValueError, match=r"must have the shape \(n, 8\)"):
            call(unit(1, 9))
    with pytest.raises(UsageError, match=r"has 1 of these images already, for example 003\.jpg"):
        index.add(unit(2), ids=["x", "003.jpg"])
    with pytest.raises(ValueError, match="queries must be finite"):
        index.search(np.full(8, np.nan))
    with pytest.raises(ValueError, match="k must be at least 1"):
        index.search(unit(1), k=0)
    with pytest.raises(UsageError, match="Did you mean"):
        index.search_ids("003.jpeg")
    with pytest.raises(UsageError, match="keeps no encoder"):
        index.search("cat.jpg")
    assert len(index) == 12


def test_an_empty_index_has_nothing_to_find():
    empty = Index.build(np.zeros((0, 8)))
    with pytest.raises(UsageError, match=f"{IN_MEMORY} has no image at all"):
        empty.search(unit(1))
    empty.add(unit(2), ids=["a", "b"])
    assert set(empty.search(unit(1)).ids[0]) == {"a", "b"}


def test_embeddings_are_vectors_too():
    given = Embeddings(3 * unit(5), tuple("abcde"), np.array([0, 1, 0, 1, -1]), ("cat", "dog"))
    index = Index.build(given)
    hits = index.search(given, k=1)
    assert hits.ids == tuple((name,) for name in "abcde")
    assert hits.queries == tuple("abcde")
    assert hits.columns["class"] == (("cat",), ("dog",), ("cat",), ("dog",), (None,))


def test_images_are_encoded_by_the_encoder_that_is_kept(encoder, photos, tmp_path):
    embed_source(encoder, photos, out=tmp_path / "a", max_unreadable=0.5)
    index = Index.open(tmp_path / "a")
    path = photos / "a/00.png"
    assert index.search(path, k=1).ids == (("a/00.png",),)
    with Image.open(path) as opened:
        hits = index.search([str(path), opened, np.asarray(opened)], k=1, encoder=encoder)
    assert hits.ids == (("a/00.png",),) * 3
    assert hits.queries == (str(path), "image 1", "image 2")
    with pytest.raises(UsageError, match="there is no"):
        index.search(tmp_path / "none.jpg")
    config = json.loads((tmp_path / "a/collection.json").read_text())
    config["encoder"] = "b" * 64
    (tmp_path / "a/collection.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="model is of encoder"):
        Index.open(tmp_path / "a").search(path)


@pytest.fixture(params=["in memory", "on disk"])
def large(request, tmp_path) -> Index:
    made = Index.build(unit(1500), columns={"class": ["cat", "dog"] * 750})
    return made if request.param == "in memory" else made.save(tmp_path / "a.vec")


def test_an_engine_is_used_and_stays_right_as_images_come_and_go(large):
    engine = large.tune("hnsw", recall=0.99)
    assert engine.recall >= 0.99
    if large.path:
        large = Index.open(large.path)
    queries = unit(50, seed=1)
    exact, by_engine = large.search(queries, exact=True), large.search(queries)
    assert (exact.how, by_engine.how) == ("exact", "hnsw")
    assert large.search(queries, where={"class": "cat"}).how == "exact"
    same = np.mean([len(set(a) & set(b)) for a, b in zip(exact.ids, by_engine.ids, strict=True)])
    assert same > 9.5
    large.add(queries, ids=[f"new {n}" for n in range(50)])  # the engine does not know them
    assert [each[0] for each in large.search(queries).ids] == [f"new {n}" for n in range(50)]
    large.remove([f"new {n}" for n in range(25)])
    found = large.search(queries)
    assert not {name for each in found.ids[:25] for name in each} & {f"new {n}" for n in range(25)}
    own = large.search_ids("new 30", k=3)
    assert "new 30" not in own.ids[0]
    assert len(own.ids[0]) == 3


def test_where_the_engine_proposes_removed_images_alone_search_is_exact(large):
    large.tune("hnsw", recall=0.9)
    query = unit(1, seed=1)
    large.remove(large.search(query, k=200, exact=True).ids[0])
    assert large.search(query).ids == large.search(query, exact=True).ids


def test_a_large_k_is_proposed_in_full(large):
    large.tune("hnsw", recall=0.9)
    assert large.search(unit(1), k=1500).ids == large.search(unit(1), k=1500, exact=True).ids


def test_an_engine_is_replaced_and_taken_away(tmp_path):
    index = Index.build(unit(1500)).save(tmp_path / "a")
    for recall in (0.9, 0.99):
        index.tune("hnsw", recall=recall)
        assert len(list((tmp_path / "a").glob("*.faiss"))) == 1
    assert index.tune("exact") is None
    assert not list((tmp_path / "a").glob("*.faiss"))
    assert Index.open(tmp_path / "a").search(unit(1)).how == "exact"


def test_a_damaged_engine_is_named(tmp_path):
    index = Index.build(unit(1500)).save(tmp_path / "a")
    index.tune("hnsw", recall=0.9)
    (path,) = (tmp_path / "a").glob("*.faiss")
    content = bytearray(path.read_bytes())
    content[99] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"hnsw-.*\.faiss is damaged"):
        Index.open(tmp_path / "a").search(unit(1))
    assert len(Index.open(tmp_path / "a").search(unit(1), exact=True).ids[0]) == 10
    path.unlink()
    with pytest.raises(DataError, match="No such file"):
        Index.open(tmp_path / "a").search(unit(1))


def test_printed_it_says_how_many_of_what(index):
    assert repr(index) == f"Index(12 images, 8 wide, {index.collection.path})"
    index.remove(index.ids[0])
    assert repr(index).startswith("Index(11 images")


def test_hits_know_what_was_asked_about(photos, encoder, tmp_path):
    embed_source(encoder, photos, out=tmp_path / "x.vec", max_unreadable=0.1)
    index = Index.open(tmp_path / "x.vec")
    path = photos / "a/02.png"
    pixels = np.asarray(Image.open(path))
    assert index.search(path).asked == (path,)
    assert [each.tobytes() for each in index.search(np.stack([pixels] * 2)).asked] == [
        pixels.tobytes()
    ] * 2
    assert index.search(encoder.encode(path)).asked == ()
    assert index.search(index.collection.embeddings()).asked == ()
    assert index.search_ids("a/02.png").asked == (index.collection.ids.index("a/02.png"),)
