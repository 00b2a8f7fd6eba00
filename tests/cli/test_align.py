"""`align` writes what it can, and says what it left out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lookalike.cli.app import main
from lookalike.data.alignment import TEMPLATE
from lookalike.data.sources import open_source


@pytest.fixture
def landmarks(photos: Path, tmp_path: Path) -> Path:
    """Landmarks of all photos but one."""
    names = open_source(photos).ids[1:]
    points = [[32 * x, 32 * y] for x, y in TEMPLATE]
    path = tmp_path / "landmarks.json"
    path.write_text(json.dumps(dict.fromkeys(names, points)))
    return path


def test_what_is_left_out_is_told(
    photos: Path, landmarks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["align", str(photos), str(landmarks), "--out", str(out), "--size", "20"]) == 0
    shown = capsys.readouterr()
    count = len(open_source(photos))
    assert f"{count - 1} of {count} images aligned" in shown.out
    assert f"left out: {open_source(photos).ids[0]}: no landmarks" in shown.out
    assert len(open_source(out)) == count - 1
    assert open_source(out).measure(0)[:2] == (20, 20)


def test_one_object(
    photos: Path, landmarks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["align", str(photos), str(landmarks), "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["written"] == len(open_source(photos)) - 1
    assert [each["reason"] for each in told["left_out"]] == ["no landmarks"]


def test_refusals(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    assert main(["align", str(photos), "detect", "--out", str(tmp_path / "out")]) == 2
    assert "pip install facenet-pytorch" in capsys.readouterr().err
    assert main(["align", str(photos), "gone.csv", "--out", str(tmp_path / "out")]) == 3
    assert "gone.csv" in capsys.readouterr().err
