"""`embed` writes vectors, says what it took, and goes on where it stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lookalike.cli.app import main


def test_writes_vectors_and_says_what_limits_it(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "photos.vec"
    words = ["embed", str(run), str(photos), "--out", str(out)]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "48 vectors x" in shown.out
    assert "took most of it (waited for images" in shown.out
    assert np.load(out / "vectors.npy").shape[0] == 48
    for name in ("vectors.npy", "images.parquet", "unreadable.csv", "collection.json"):
        assert f"wrote  {out / name}" in shown.err
    assert f"next   lookalike search {out} IMAGE" in shown.err
    assert main(words) == 0
    assert "nothing was left to embed" in capsys.readouterr().out


def test_shards_are_joined_by_the_call_without_one(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "photos.vec"
    words = ["embed", str(run), str(photos), "--out", str(out), "--json"]
    assert main([*words, "--shard", "1/2"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["vectors"] is None
    assert "joins the parts of all shards" in shown.err
    assert main([*words, "--dtype", "float32"]) == 2
    assert "was begun with another dtype" in capsys.readouterr().err
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["vectors"], told["dtype"], told["unreadable"]) == (48, "float16", 0)


def test_unreadable_images_are_listed(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "source", tmp_path / "photos.vec"
    source.mkdir()
    (source / "good.png").write_bytes(next(photos.rglob("*.png")).read_bytes())
    (source / "bad.png").write_bytes(b"no picture at all, but text")
    words = ["embed", str(run), str(source), "--out", str(out)]
    assert main(words) == 3
    assert "1 of 2 images cannot be read" in capsys.readouterr().err
    assert main([*words, "--max-unreadable", "0.5"]) == 0
    assert "1 images could not be read" in capsys.readouterr().out
    assert "bad.png" in (out / "unreadable.csv").read_text()


def test_wants_a_folder_to_write_to(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["embed", str(run), str(photos)]) == 2
    assert "--out is missing" in capsys.readouterr().err
    assert main(["embed", str(run), str(photos), "--out", str(photos)]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_says_which_splits_it_leaves_out(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("Train", "Test"):
        shutil.copytree(photos / "0", tmp_path / "set" / split)
    count = len(list((photos / "0").iterdir()))
    assert main(["embed", str(run), str(tmp_path / "set"), "--out", str(tmp_path / "v")]) == 0
    told = f"left out are {count} of test: {tmp_path / 'set'}/test takes those"
    assert told in " ".join(capsys.readouterr().err.split())
    words = ["embed", str(run), f"{tmp_path / 'set'}/test", "--out", str(tmp_path / "t")]
    assert main(words) == 0
    assert "left out" not in capsys.readouterr().err
