"""`select` prints the images to label next in order, and writes a table and a page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lookalike.cli.app import main


def test_prints_a_list_and_writes_two_files(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "selection"
    words = ["--out", str(out), "--count", "6", "--by", "k-center"]
    assert main(["select", str(run), str(photos), *words]) == 0
    shown = capsys.readouterr()
    assert "6 of 48 images, by k-center, seed 0" in shown.out
    for name in ("selection.csv", "selection.html"):
        assert f"wrote  {out / name}" in shown.err
    rows = list(csv.DictReader((out / "selection.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == [line.split()[1] for line in shown.out.splitlines()[:6]]


def test_what_is_labelled_is_not_chosen(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--out", str(tmp_path / "out"), "--json", "--labelled", str(photos / "0")]
    assert main(["select", str(run), str(photos), *words, "--count", "99"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["labelled"] == 12
    assert {pick["id"].partition("/")[0] for pick in told["picks"]} == {"1", "2", "3"}
    assert len(told["picks"]) == 36
    assert told["by"] == "typicality"


def test_refuses_what_cannot_be(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for words, message in (("--count 0", "count must be"), ("--by beauty", "--by wants one of")):
        assert main(["select", str(run), str(photos), "--out", str(out), *words.split()]) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()
