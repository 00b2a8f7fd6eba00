"""`duplicates` prints groups, and writes a table, a record and a page; it moves nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lookalike.cli.app import main


@pytest.fixture
def copied(photos: Path, tmp_path: Path) -> Path:
    """Return a folder of 12 of the photos, one of them twice."""
    folder = tmp_path / "copied"
    shutil.copytree(photos / "0", folder)
    first = min(folder.iterdir())
    shutil.copy(first, folder / "zz.png")
    return folder


def test_prints_groups_and_writes_three_files(
    run: Path, copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(copied.iterdir())
    out = tmp_path / "dups"
    assert main(["duplicates", str(run), str(copied), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "1 groups of 2 images; 1 of 13 images need not be kept" in shown.out
    assert "copies that were planted to measure by" in shown.out
    for name in ("duplicates.csv", "duplicates.json", "duplicates.html"):
        assert (out / name).is_file()
        assert f"wrote  {out / name}" in shown.err
    assert f"lookalike apply {out} --move-to FOLDER" in shown.err
    assert sorted(copied.iterdir()) == before


def test_prints_one_object(
    run: Path, copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--out", str(tmp_path / "out"), "--json", "--precision", "0.9", "--seed", "3"]
    assert main(["duplicates", str(run), str(copied), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "out/duplicates.json").read_bytes())
    assert (told["threshold"]["asked"], told["seed"], told["folder"]) == (0.9, 3, str(copied))
    assert [each["keep"] for each in told["groups"][0]] == [True, False]


def test_a_bare_folder_needs_no_run(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["duplicates", str(copied), "--out", str(tmp_path / "out")]) == 0
    assert "1 groups of 2 images; 1 of 13 images need not be kept" in capsys.readouterr().out
    words = ["--out", str(tmp_path / "out"), "--without", "mirrored,turned", "--json"]
    assert main(["duplicates", str(copied), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    kinds = {each["kind"] for each in told["threshold"]["recalls"]}
    assert {"stamped", "framed"} <= kinds
    assert kinds.isdisjoint({"mirrored", "turned"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--precision 1.5", "precision must be below 1"),
        ("--neighbours 0", "neighbours must be at least 1"),
        ("--limit 0", "limit must be at least 1"),
        ("--split west", "no split"),
    ],
)
def test_refuses_what_cannot_be(
    run: Path,
    copied: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: str,
    message: str,
) -> None:
    out = tmp_path / "out"
    assert main(["duplicates", str(run), str(copied), "--out", str(out), *words.split()]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_run_wants_a_source_and_moves_are_not_forgotten(
    run: Path, copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["duplicates", str(run)]) == 2
    assert "so a SOURCE must say which images" in capsys.readouterr().err
    (tmp_path / "undo.csv").write_text("from,to\n")
    assert main(["duplicates", str(run), str(copied), "--out", str(tmp_path)]) == 2
    assert "--undo" in capsys.readouterr().err


def test_what_cannot_be_read_is_counted(
    run: Path, copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "bad.png").write_bytes(b"no image")
    words = ["duplicates", str(run), str(copied), "--out", str(tmp_path / "out")]
    assert main(words) == 3
    assert "1 of 14 images cannot be read" in capsys.readouterr().err
    assert main([*words, "--max-unreadable", "0.1"]) == 0
    assert "1 could not be read" in capsys.readouterr().out
