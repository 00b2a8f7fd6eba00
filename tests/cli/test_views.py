"""`views` writes a picture of what training would see."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lookalike.cli.app import main


def test_writes_a_picture(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "views.png"
    assert main(["views", str(photos), "--out", str(out), "--count", "3"]) == 0
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        assert picture.height >= 3 * 32


def test_options_change_the_picture(photos: Path, tmp_path: Path) -> None:
    for name, words in (("a", ""), ("b", ""), ("c", "--seed 1"), ("d", "--views.grey 1")):
        given = ["--out", str(tmp_path / name), "--count", "2", *words.split()]
        assert main(["views", str(photos), *given]) == 0
    first, again, *others = ((tmp_path / name).read_bytes() for name in "abcd")
    assert first == again
    assert first not in others


@pytest.mark.parametrize("words", ["--views zzz", "--views.flip 2", "--count 0", "--size 1"])
def test_refuses_what_cannot_be(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    out = tmp_path / "views.png"
    assert main(["views", str(photos), "--out", str(out), *words.split()]) == 2
    assert "error: " in capsys.readouterr().err
    assert not out.exists()
