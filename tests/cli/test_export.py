"""`export` writes a checked file and its card, or says in a line why not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lookalike.cli.app import main


def test_writes_a_file_named_after_the_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(run)]) == 0
    shown = capsys.readouterr()
    assert "photos.onnx" in shown.out
    assert "8 images of photos in batches of 1, 3 and 8: least cosine" in shown.out
    for name in ("photos.onnx", "photos.onnx.md"):
        assert (tmp_path / name).is_file()
        assert f"wrote  {name}" in shown.err
    assert main(["export", str(run)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_prints_one_object(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--to", "safetensors", "--out", str(tmp_path / "out"), "--json"]
    assert main(["export", str(run / "model"), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(tmp_path / "out")
    assert told["least_cosine"] >= 0.9999
    assert main(["export", str(run / "model"), *words, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--to tflite", "--to"),
        ("--to huggingface", "timm has no network"),
        ("--check-on nowhere", "nowhere does not exist"),
    ],
)
def test_refuses_what_cannot_be(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert main(["export", str(run), "--out", str(tmp_path / "out"), *words.split()]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_says_what_to_install(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", str(run), "--out", str(tmp_path / "out.onnx")]) == 1
    assert "pip install 'lookalike[export]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_wants_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "a.onnx")]) == 2
    assert "is no model" in capsys.readouterr().err
