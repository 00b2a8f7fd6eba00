"""`report` writes a page where it is told to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lookalike.cli.app import main


def test_writes_into_the_run_or_elsewhere(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, written in (
        ([], run / "report.html"),
        (["--out", str(tmp_path / "a.html")], tmp_path / "a.html"),
    ):
        assert main(["report", str(run), *words]) == 0
        assert written.read_text().lstrip().startswith("<!doctype html>")
        assert f"wrote  {written}" in capsys.readouterr().err


def test_a_folder_without_a_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_several_runs_are_compared_in_one_page(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other, with a comma"
    shutil.copytree(run, other)
    for words, written in (
        (["--out", str(tmp_path / "new" / "a.html")], tmp_path / "new" / "a.html"),
        ([], Path("compare.html")),
    ):
        monkeypatch.chdir(tmp_path)
        assert main(["report", str(run), str(other), *words]) == 0
        assert "2 runs, side by side" in written.read_text()
        assert f"wrote  {written}" in capsys.readouterr().err


def test_a_run_named_twice_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), str(run)]) == 2
    assert "named twice" in capsys.readouterr().err
    assert main(["report"]) == 2
    assert "RUNS is missing" in capsys.readouterr().err
