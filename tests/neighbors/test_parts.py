"""Parts are the same whoever makes them, and a killed process leaves whole ones alone."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from lookalike.data.sources import open_source
from lookalike.errors import DataError, UsageError
from lookalike.neighbors import parts as module
from lookalike.neighbors.parts import Parts


def begun(folder, encoder, images, **settings) -> Parts:
    return Parts(folder, encoder, images, **{"dtype": "float32", "max_pixels": 10**6} | settings)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "PART", 5)


def test_vectors_are_the_encoders_whatever_the_batch(encoder, photos, tmp_path):
    images = open_source(photos)
    made = begun(tmp_path, encoder, images)
    assert made.missing() == [0, 1, 2]
    spent = made.make(made.missing(), batch_size=3)
    assert made.missing() == []
    assert spent.images == len(images) == 12
    assert 0 <= spent.waiting <= spent.seconds
    readable = [name for name in images.ids if name != "b/bad.jpg"]
    wanted = encoder.encode([photos / name for name in readable])
    np.testing.assert_allclose(np.concatenate(list(made.blocks())), wanted, atol=1e-5)
    assert [one.id for one in made.unreadable()] == ["b/bad.jpg"]
    assert [images.ids[position] for position in made.positions()] == readable


def test_the_table_tells_what_was_seen_of_each_file(encoder, photos, tmp_path):
    images = open_source(photos)
    made = begun(tmp_path, encoder, images)
    made.make(made.missing(), batch_size=8)
    rows = made.table().to_pylist()
    assert len(rows) == 11
    for row in rows:
        content = (photos / row["id"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert row["bytes"] == len(content)
        assert (row["width"], row["height"]) == (40, 30)
        assert row["class"] == row["id"][0]


def test_shards_share_all_parts_and_no_part_twice(encoder, photos, tmp_path):
    made = begun(tmp_path, encoder, open_source(photos))
    for shards in (1, 2, 3, 7):
        shares = [made.missing((number, shards)) for number in range(shards)]
        assert [part for share in shares for part in share] == [0, 1, 2]
    made.make([1], batch_size=8)
    assert made.missing() == [0, 2]


def test_parts_are_the_same_bytes_in_any_order(encoder, photos, tmp_path):
    images = open_source(photos)
    forth, back = (begun(tmp_path / name, encoder, images) for name in ("a", "b"))
    forth.make([0, 1, 2], batch_size=4)
    for part in (2, 0, 1):
        back.make([part], batch_size=4)
    for part in range(3):
        name = f"{part:05d}.npz"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_another_plan_is_refused(encoder, photos, tmp_path):
    images = open_source(photos)
    begun(tmp_path, encoder, images)
    begun(tmp_path, encoder, images)
    with pytest.raises(UsageError, match="begun with another dtype\n"):
        begun(tmp_path, encoder, images, dtype="float16")
    with pytest.raises(UsageError, match="begun with another images and ids"):
        begun(tmp_path, encoder, images.select([0, 1]))
    with torch.no_grad():
        next(encoder.backbone.parameters()).add_(1)
    with pytest.raises(UsageError, match="begun with another encoder"):
        begun(tmp_path, encoder, images)


def test_a_damaged_part_is_named(encoder, photos, tmp_path):
    made = begun(tmp_path, encoder, open_source(photos))
    made.make(made.missing(), batch_size=8)
    path = tmp_path / "00001.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"00001\.npz is damaged: .*remove it"):
        list(made.blocks()), made.table(), made.unreadable()


def test_a_set_of_no_readable_image_has_no_vectors(encoder, photos, tmp_path):
    made = begun(tmp_path, encoder, open_source(photos), max_pixels=1)
    made.make(made.missing(), batch_size=8)
    assert sum(map(len, made.blocks())) == made.table().num_rows == 0
    assert len(made.unreadable()) == 12
