"""The same vectors however the work is cut; nothing lost, nothing overwritten, losses listed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from lookalike.data.sources import open_source
from lookalike.errors import DataError, LookalikeError, UsageError
from lookalike.inference import load_encoder
from lookalike.neighbors import parts as parts_module
from lookalike.neighbors import writing
from lookalike.neighbors.collection import open_collection
from lookalike.neighbors.embedding import add_source, embed_source
from lookalike.neighbors.writing import remove_rows

LOSSES = {"max_unreadable": 0.1}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(parts_module, "PART", 4)


def contents(folder) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_collection_holds_the_encoders_vectors_and_the_encoder(encoder, photos, tmp_path):
    made = embed_source(encoder, photos, out=tmp_path / "a", dtype="float32", **LOSSES)
    collection = made.collection
    wanted = encoder.encode([photos / name for name in collection.ids])
    np.testing.assert_allclose(collection.vectors, wanted, atol=1e-5)
    assert (len(collection), len(made.unreadable)) == (11, 1)
    assert "b/bad.jpg" in (tmp_path / "a/unreadable.csv").read_text()
    again = load_encoder(tmp_path / "a")
    assert again.fingerprint() == collection.record.encoder == encoder.fingerprint()
    part = collection.record.parts[0]
    assert open_source(part.source).ids == open_source(photos).ids
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "collection.json",
        "images.parquet",
        "model",
        "unreadable.csv",
        "vectors.npy",
    ]


def test_shards_batches_and_restarts_give_the_same_vectors(encoder, photos, tmp_path):
    whole = embed_source(encoder, photos, out=tmp_path / "whole", **LOSSES).collection
    for number in (2, 0, 2):  # one of them twice, one of them not at all
        made = embed_source(
            encoder, photos, out=tmp_path / "cut", shard=f"{number}/3", batch_size=3
        )
        assert made.collection is None
    assert made.missing == 1
    assert made.spent.images == 0, "what is there is not made again"
    cut = embed_source(encoder, photos, out=tmp_path / "cut", batch_size=1, **LOSSES)
    assert cut.spent.images == 4, "the shard that nobody made"
    assert cut.collection.ids == whole.ids
    np.testing.assert_allclose(cut.collection.vectors, whole.vectors, atol=1e-3)


def test_a_second_call_changes_nothing(encoder, photos, tmp_path):
    embed_source(encoder, photos, out=tmp_path / "a", **LOSSES)
    before = contents(tmp_path / "a")
    again = embed_source(encoder, photos, out=tmp_path / "a", **LOSSES)
    assert again.spent.images == 0
    assert len(again.collection) == 11
    assert contents(tmp_path / "a") == before
    embed_source(encoder, photos, out=tmp_path / "b", **LOSSES)
    assert contents(tmp_path / "b") == before


CHILD = """
import sys, os, signal
import lookalike
from lookalike.neighbors import embedding, parts
parts.PART = 4
done = 0
def stop(count, total):
    if count >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
encoder = lookalike.load(sys.argv[1])
embedding.embed_source(encoder, sys.argv[2], out=embedding.Path(sys.argv[4]), progress=stop)
"""


def test_a_killed_process_is_gone_on_from(encoder, photos, tmp_path):
    encoder.save(tmp_path / "model")
    words = [str(tmp_path / "model"), str(photos), "6", str(tmp_path / "cut")]
    done = subprocess.run([sys.executable, "-c", CHILD, *words], timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "cut/parts").glob("*.npz")] == ["00000.npz"]
    made = embed_source(encoder, photos, out=tmp_path / "cut", **LOSSES)
    assert made.spent.images == 8
    embed_source(encoder, photos, out=tmp_path / "whole", **LOSSES)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


@pytest.mark.parametrize("step", ["_append", "_write_part", "_write_unreadable"])
def test_a_cut_while_parts_are_joined_is_gone_on_from(encoder, photos, tmp_path, monkeypatch, step):
    def cut(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writing, step, cut)
        with pytest.raises(KeyboardInterrupt):
            embed_source(encoder, photos, out=tmp_path / "a", **LOSSES)
    with pytest.raises(UsageError, match="is no collection yet"):
        open_collection(tmp_path / "a")
    made = embed_source(encoder, photos, out=tmp_path / "a", **LOSSES)
    assert made.spent.images == 0
    embed_source(encoder, photos, out=tmp_path / "whole", **LOSSES)
    assert contents(tmp_path / "a") == contents(tmp_path / "whole")


def test_a_full_disk_leaves_whole_parts_and_the_same_call_goes_on(
    encoder, photos, tmp_path, monkeypatch
):
    synced, count = os.fsync, iter(range(100))

    def full(descriptor):
        if next(count) == 4:  # the plan and a part, each with its folder, went before
            raise OSError(28, os.strerror(28))
        return synced(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(LookalikeError, match=r"no space left .*\n.*the same command again"):
            embed_source(encoder, photos, out=tmp_path / "a", **LOSSES)
    assert not (tmp_path / "a/collection.json").exists()
    made = embed_source(encoder, photos, out=tmp_path / "a", **LOSSES)
    assert 0 < made.spent.images < 12
    assert len(open_collection(tmp_path / "a")) == 11


def test_too_many_losses_are_an_error_and_nothing_is_thrown_away(encoder, photos, tmp_path):
    with pytest.raises(DataError, match="1 of 12 images cannot be read"):
        embed_source(encoder, photos, out=tmp_path / "a")
    assert embed_source(encoder, photos, out=tmp_path / "a", **LOSSES).spent.images == 0


def test_other_images_or_another_encoder_are_refused(encoder, photos, tmp_path):
    embed_source(encoder, photos, out=tmp_path / "a", **LOSSES)
    with pytest.raises(UsageError, match=r"other images.*\n.*lookalike index .* --add"):
        embed_source(encoder, photos / "a", out=tmp_path / "a")
    with pytest.raises(UsageError, match="another dtype"):
        embed_source(encoder, photos, out=tmp_path / "a", dtype="float32")
    with torch.no_grad():
        next(encoder.backbone.parameters()).add_(1)
    with pytest.raises(UsageError, match="is of encoder"):
        embed_source(encoder, photos, out=tmp_path / "a")
    with pytest.raises(UsageError, match="is not empty"):
        embed_source(encoder, photos, out=photos)


@pytest.mark.parametrize("shard", ["3/3", "1", "a/b", "-1/3", "1/", "0/0"])
def test_a_shard_is_a_number_of_how_many(encoder, photos, tmp_path, shard):
    with pytest.raises(ValueError, match="shard must be from 0/N to N-1/N"):
        embed_source(encoder, photos, out=tmp_path / "a", shard=shard)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_columns_of_a_table_stay_with_their_images(encoder, photos, tmp_path, name):
    paths = ["b/01.png", "b/bad.jpg", "a/00.png", "b/03.png"]
    columns = {"path": paths, "label": list("xyxx"), "year": [1, 2, 3, 4], "width": list("abcd")}
    table = pyarrow.table(columns)
    if name == "t.csv":
        rows = [
            "path,label,year,width",
            *(",".join(map(str, row.values())) for row in table.to_pylist()),
        ]
        (photos / name).write_text("\n".join(rows))
    else:
        pyarrow.parquet.write_table(
            table.append_column("tags", [[["no", "scalar"]] * 4]), photos / name
        )
    made = embed_source(encoder, photos / name, out=tmp_path / "a", max_unreadable=0.5).collection
    assert made.ids == ("b/01.png", "a/00.png", "b/03.png")
    assert [str(year) for year in made.table.column("year").to_pylist()] == ["1", "3", "4"]
    assert made.table.column("width in table").to_pylist() == ["a", "c", "d"]
    assert "tags" not in made.table.column_names
    assert made.rows_where({"class": "x", "year": 3}).tolist() == [1]


def test_only_what_is_new_is_added(encoder, photos, tmp_path):
    first = embed_source(encoder, photos / "a", out=tmp_path / "a").collection
    assert first.ids[0] == "00.png"
    grown = add_source(first, encoder, photos / "b", max_unreadable=0.2)
    assert (len(grown.collection), grown.known, grown.spent.images) == (11, 0, 6)
    again = add_source(grown.collection, encoder, photos / "b", max_unreadable=1)
    assert (len(again.collection), again.known) == (11, 5)
    fewer = remove_rows(grown.collection, grown.collection.rows_of(["01.png"]))
    back = add_source(fewer, encoder, photos / "b", max_unreadable=1).collection
    assert len(back) == 11
    row = back.rows_of(["01.png"])[0]
    assert np.array_equal(
        back.vectors[row], grown.collection.vectors[grown.collection.rows_of(["01.png"])[0]]
    )
    assert not (tmp_path / "a/parts").exists()
    with torch.no_grad():
        next(encoder.backbone.parameters()).add_(1)
    with pytest.raises(UsageError, match="what is to be added is of encoder"):
        add_source(back, encoder, photos / "b")
