"""The same vectors however the work is cut; nothing lost, nothing overwritten, losses listed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from lookalike.curation.album import embed_album
from lookalike.data.sources import open_source
from lookalike.errors import DataError, LookalikeError, UsageError
from lookalike.inference import load_encoder
from lookalike.neighbors import embedding as embedding_module
from lookalike.neighbors import parts as parts_module
from lookalike.neighbors import writing
from lookalike.neighbors.collection import open_collection
from lookalike.neighbors.embedding import add_source, embed_source
from lookalike.neighbors.pictures import find_images
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


def camera(folder, *, seed, count=6):
    """Write photos that are called alike whatever they show."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"IMG_{number:04d}.png")
    return folder


def vectors_by_id(collection):
    ids = [collection.ids[row] for row in collection.present]
    return dict(zip(ids, collection.vectors[collection.present].tolist(), strict=True))


def test_images_called_like_others_are_not_taken_for_them(encoder, tmp_path):
    first, second = (camera(tmp_path / name, seed=seed) for seed, name in enumerate("ab"))
    made = embed_source(encoder, first, out=tmp_path / "v").collection
    with pytest.raises(UsageError, match=r"other images already: 6 of the 6 .*\n.*--prefix"):
        embed_source(encoder, second, out=tmp_path / "v")
    with pytest.raises(UsageError, match=r"6 of the 6 images .* called like others.*\n.*--prefix"):
        add_source(made, encoder, second)
    assert not (tmp_path / "v/parts").exists()
    both = add_source(made, encoder, second, prefix="b/").collection
    alone = embed_source(encoder, second, out=tmp_path / "w").collection
    wanted = {f"b/{name}": vector for name, vector in vectors_by_id(alone).items()}
    assert vectors_by_id(both) == vectors_by_id(made) | wanted
    rows = both.rows_of(wanted)
    ((found, images),) = find_images(both, rows)
    assert found.tolist() == rows.tolist()
    assert images.read(0) == (second / "IMG_0000.png").read_bytes()
    again = add_source(both, encoder, second, prefix="b/")
    assert (again.known, again.spent.images) == (6, 0)


def test_copies_of_the_same_images_elsewhere_are_known(encoder, tmp_path):
    first = camera(tmp_path / "a", seed=0)
    made = embed_source(encoder, first, out=tmp_path / "v").collection
    shutil.copytree(first, tmp_path / "copy")
    assert add_source(made, encoder, tmp_path / "copy").known == 6
    assert embed_source(encoder, tmp_path / "copy", out=tmp_path / "v").spent.images == 0


@pytest.mark.parametrize("number", [0, 3, 5])
def test_a_file_that_was_replaced_is_embedded_again(encoder, tmp_path, number):
    photos = camera(tmp_path / "a", seed=0)
    made = embed_source(encoder, photos, out=tmp_path / "v").collection
    name = f"IMG_{number:04d}.png"
    pixels = np.random.default_rng(9).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(photos / name)
    with pytest.raises(UsageError, match=rf"1 of the 6 images have changed .*{name}.*\n.*--add"):
        embed_source(encoder, photos, out=tmp_path / "v")
    mended = add_source(made, encoder, photos)
    assert (mended.changed, mended.known, mended.spent.images) == (1, 5, 1)
    anew = embed_source(encoder, photos, out=tmp_path / "w").collection
    assert vectors_by_id(mended.collection) == vectors_by_id(anew)
    assert embed_source(encoder, photos, out=tmp_path / "v").spent.images == 0


def test_a_file_that_was_mended_is_not_left_out_silently(encoder, tmp_path):
    photos = camera(tmp_path / "a", seed=0)
    whole = (photos / "IMG_0002.png").read_bytes()
    (photos / "IMG_0002.png").write_bytes(whole[:50])
    made = embed_source(encoder, photos, out=tmp_path / "v", max_unreadable=1).collection
    assert embed_source(encoder, photos, out=tmp_path / "v").spent.images == 0
    (photos / "IMG_0002.png").write_bytes(whole)
    with pytest.raises(UsageError, match="1 of the 6 images have changed"):
        embed_source(encoder, photos, out=tmp_path / "v")
    assert len(add_source(made, encoder, photos).collection) == 6
    assert embed_source(encoder, photos, out=tmp_path / "v").spent.images == 0


def test_parts_of_files_that_changed_meanwhile_are_made_again(encoder, tmp_path):
    first, second = (camera(tmp_path / name, seed=seed) for seed, name in enumerate("ab"))
    embed_source(encoder, first, out=tmp_path / "v", shard="0/2")
    assert (tmp_path / "v/parts/00000.npz").exists()
    made = embed_source(encoder, second, out=tmp_path / "v")
    assert (made.changed, made.spent.images) == (4, 6)
    alone = embed_source(encoder, second, out=tmp_path / "w").collection
    assert vectors_by_id(made.collection) == vectors_by_id(alone)


def test_two_at_once_are_told_in_one_line(encoder, photos, tmp_path):
    out = tmp_path / "v"
    with embedding_module._making(out), pytest.raises(LookalikeError, match="another process"):
        embed_source(encoder, photos, out=out, **LOSSES)
    with embedding_module._making(out, shared=True):
        embed_source(encoder, photos, out=out, shard="0/3")  # shards share the work
        with pytest.raises(LookalikeError, match=r"another process .*\n.*wait"):
            embed_source(encoder, photos, out=out, **LOSSES)
    assert len(embed_source(encoder, photos, out=out, **LOSSES).collection) == 11


@pytest.mark.parametrize("left", ["all", "no plan", "only the plan"])
def test_an_addition_that_was_killed_as_it_cleared_up_jams_nothing(
    encoder, tmp_path, monkeypatch, left
):
    photos = camera(tmp_path / "a", seed=0)
    more, third = (camera(tmp_path / name, seed=seed) for seed, name in ((1, "b"), (2, "c")))
    made = embed_source(encoder, photos, out=tmp_path / "v").collection

    def cut(folder):
        for path in folder.iterdir():
            if {"all": False, "no plan": path.suffix == ".json"}.get(left, path.suffix == ".npz"):
                path.unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(embedding_module, "remove_parts", cut)
        with pytest.raises(KeyboardInterrupt):
            add_source(made, encoder, more, prefix="b/")
    assert (tmp_path / "v/parts").is_dir()
    other = add_source(made, encoder, third, prefix="c/").collection
    same = add_source(other, encoder, more, prefix="b/")
    assert (len(same.collection), same.known) == (18, 6)
    assert not (tmp_path / "v/parts").exists()
    alone = embed_source(encoder, third, out=tmp_path / "w").collection
    wanted = {f"c/{name}": vector for name, vector in vectors_by_id(alone).items()}
    assert wanted.items() <= vectors_by_id(other).items()


def test_a_folder_that_nobody_may_look_into_is_told_and_counts(encoder, tmp_path, monkeypatch):
    photos = camera(tmp_path / "a", seed=0)
    camera(photos / "closed", seed=1)
    real = os.scandir

    def scandir(path):
        if str(path).rstrip("/").endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"1 of 7 images .* closed/: cannot be listed: Permission"):
        embed_source(encoder, photos, out=tmp_path / "v")
    with pytest.raises(DataError, match="1 of 7 images"):
        embed_album(encoder, open_source(photos))
    made = embed_source(encoder, photos, out=tmp_path / "v", max_unreadable=0.2)
    assert len(made.collection) == 6
    assert "closed/,cannot be listed" in (tmp_path / "v/unreadable.csv").read_text()
    assert embed_source(encoder, photos, out=tmp_path / "v").spent.images == 0
    assert embed_album(encoder, open_source(photos), max_unreadable=0.2).unreadable == 1


def test_splits_that_were_not_asked_for_are_told(encoder, tmp_path):
    for number, split in enumerate(("train", "test", "val")):
        camera(tmp_path / "a" / split, seed=number, count=number + 2)
    made = embed_source(encoder, tmp_path / "a", out=tmp_path / "v")
    assert (len(made.collection), made.left_out) == (2, (("test", 3), ("val", 4)))
    again = embed_source(encoder, tmp_path / "a", out=tmp_path / "v")
    assert again.left_out == made.left_out
    for asked in ({"source": tmp_path / "a", "split": "test"}, {"source": tmp_path / "a/test"}):
        assert embed_source(encoder, **asked, out=tmp_path / "t").left_out == ()
