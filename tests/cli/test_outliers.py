"""`outliers` prints the images unlike all others, and writes a table and a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lookalike.cli.app import main


def test_prints_tables_and_writes_two_files(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "outliers"
    assert main(["outliers", str(run), str(photos), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "of 48 images are outliers" in shown.out
    assert "neighbours agree with" in shown.out
    for name in ("outliers.csv", "outliers.html"):
        assert f"wrote  {out / name}" in shown.err
    assert len((out / "outliers.csv").read_text().splitlines()) == 49


def test_prints_one_object(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--out", str(tmp_path / "out"), "--json", "--limit", "20", "--neighbours", "4"]
    assert main(["outliers", str(run), str(photos), *words, "--above", "1.01"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["images"], told["neighbours"], told["above"]) == (20, 4, 1.01)
    assert all(each["factor"] >= 1.01 for each in told["outliers"])


def test_refuses_what_cannot_be(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["outliers", str(run), str(photos), "--out", str(out), "--confidence", "2"]) == 2
    assert "confidence must be in [0, 1]" in capsys.readouterr().err
    assert main(["outliers", str(run), "--out", str(out)]) == 2
    assert "so a SOURCE must say" in capsys.readouterr().err
    assert not out.exists()
