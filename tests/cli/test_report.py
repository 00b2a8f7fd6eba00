"""`report` writes a page where it is told to."""

from __future__ import annotations

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
