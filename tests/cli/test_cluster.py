"""`cluster` prints what `find_clusters` finds, and writes a table, a page and folders."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lookalike.cli.app import main


def test_prints_a_table_and_writes_beside_the_run(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cluster", str(run), str(photos)]) == 0
    shown = capsys.readouterr()
    for words in ("most typical", "AMI", "raw pixels", "untrained", "k-means into 4 clusters"):
        assert words in shown.out
    for name in ("clusters.csv", "clusters.html"):
        assert (run / "clusters" / name).is_file()
        assert f"wrote  {run / 'clusters' / name}" in shown.err


def test_prints_one_object_and_copies_into_folders(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--out", str(tmp_path / "out"), "--folders", "--json", "--clusters", "3"]
    assert main(["cluster", str(run / "model"), str(photos), *words, "--limit", "30"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == sum(each["images"] for each in told["clusters"]) == 30
    folders = sorted(path.name for path in (tmp_path / "out/folders").iterdir())
    assert folders == ["001", "002", "003"]
    assert main(["cluster", str(run), str(photos), *words]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_model_folder_is_only_read(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted((run / "model").rglob("*"))
    assert main(["cluster", str(run / "model"), str(photos), "--limit", "12"]) == 0
    assert sorted((run / "model").rglob("*")) == before
    assert (tmp_path / "clusters/clusters.csv").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--method dbscan", "--method"),
        ("--clusters 0", "clusters must be in"),
        ("--clusters 1000", "clusters must be in"),
        ("--distance 3", "distance must be"),
        ("--method hdbscan --clusters 3", "finds how many by itself"),
        ("--limit 0", "limit must be at least 1"),
        ("--split west", "no split"),
    ],
)
def test_refuses_what_cannot_be(
    run: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: str,
    message: str,
) -> None:
    out = tmp_path / "out"
    assert main(["cluster", str(run), str(photos), "--out", str(out), *words.split()]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_wants_a_run_and_a_source(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cluster", str(run)]) == 2
    assert "SOURCE is missing" in capsys.readouterr().err
    assert main(["cluster", str(tmp_path), str(photos)]) == 2
    assert "is no model" in capsys.readouterr().err


def test_says_what_to_install(
    run: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    assert main(["cluster", str(run), str(photos)]) == 1
    assert "pip install 'lookalike[cluster]'" in capsys.readouterr().err
