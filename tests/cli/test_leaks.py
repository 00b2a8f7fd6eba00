"""`leaks` prints the test images that are in train, and writes a table and a page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lookalike.cli.app import main


@pytest.fixture
def sides(photos: Path, tmp_path: Path) -> list[str]:
    """Return a folder to train on and one to test with, which share one photo."""
    for side, name in (("left", "0"), ("right", "1")):
        shutil.copytree(photos / name, tmp_path / side)
    shutil.copy(min((tmp_path / "left").iterdir()), tmp_path / "right/shared.png")
    return [str(tmp_path / "left"), str(tmp_path / "right")]


def test_prints_leaks_and_writes_two_files(
    run: Path, sides: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "leaks"
    assert main(["leaks", str(run), *sides, "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "1 of 13 test images (7.7%) are in train, 1 of them the same byte for byte" in shown.out
    for name in ("leaks.csv", "leaks.html"):
        assert f"wrote  {out / name}" in shown.err
    assert "shared.png" in (out / "leaks.csv").read_text()


def test_prints_one_object(
    run: Path, sides: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaks", str(run), *sides, "--out", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["train_images"], told["test_images"]) == (12, 13)
    assert [leak["test"] for leak in told["leaks"]] == ["shared.png"]


def test_two_folders_need_no_run(
    sides: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaks", *sides, "--out", str(tmp_path / "out")]) == 0
    assert "1 of 13 test images (7.7%) are in train" in capsys.readouterr().out


def test_wants_both_sides(run: Path, sides: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaks", str(run), sides[0]]) == 2
    assert "TEST is missing" in capsys.readouterr().err
    assert main(["leaks", str(run), *sides, "--precision", "0"]) == 2
    assert "precision must be" in capsys.readouterr().err
