"""`index` adds, removes, compacts, and gives search an engine with its measured recall."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lookalike.cli.app import main
from lookalike.neighbors.collection import open_collection
from lookalike.neighbors.index import Index


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    assert main(["index", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_few_images_are_searched_exactly(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", str(vectors)]) == 0
    shown = capsys.readouterr()
    assert "search is exact" in shown.out
    assert "engine: exact, for 48 images" in shown.err
    assert main(["index", str(vectors), "--engine", "hnsw"]) == 2
    assert "48 images are too few for hnsw" in capsys.readouterr().err


def test_an_engine_is_built_and_its_recall_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "many.vec"
    Index.build(np.random.default_rng(0).normal(size=(1200, 8))).save(path)
    words = [str(path), "--engine", "hnsw", "--recall", "0.8"]
    engine = told(words, capsys)["engine"]
    assert engine["kind"] == "hnsw"
    assert engine["recall"] >= engine["asked"] == 0.8
    assert (path / engine["file"]).is_file()
    assert main(["index", *words]) == 0
    assert f"hnsw finds {engine['recall']:.3f} of the 10 nearest images" in capsys.readouterr().out
    assert told([str(path), "--engine", "exact"], capsys)["engine"] == {"kind": "exact"}
    assert not (path / engine["file"]).exists()


def test_images_come_and_go(
    vectors: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
    listed = tmp_path / "old.txt"
    listed.write_text("\n".join(ids[:3]) + "\n")
    assert told([str(vectors), "--remove", str(listed)], capsys)["images"] == 45
    assert told([str(vectors), "--remove", f"{ids[3]},{ids[4]}"], capsys)["images"] == 43
    assert main(["index", str(vectors), "--add", str(photos)]) == 0
    shown = capsys.readouterr().out
    assert "5 images added, 43 left out that are there already" in shown
    assert "48 images can be searched" in shown
    assert set(open_collection(vectors).embeddings().ids) == set(ids)
    smaller = tmp_path / "smaller.vec"
    assert told([str(vectors), "--compact", str(smaller)], capsys)["removed"] == 0
    again = open_collection(smaller)
    assert len(again.vectors) == 48
    assert [part.source for part in again.record.parts] == [str(photos)] * 2


def test_refuses_what_cannot_be(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        ("--remove nobody.png", "has no image 'nobody.png'"),
        ("--add nowhere", "nowhere does not exist"),
        ("--engine tree", "--engine"),
        (f"--compact {vectors}", "is a collection already"),
    ):
        assert main(["index", str(vectors), *words.split()]) == 2
        assert message in capsys.readouterr().err
