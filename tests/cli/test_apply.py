"""`apply` moves what `duplicates` found spare, and takes it back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lookalike.cli.app import main


@pytest.fixture
def found(run: Path, photos: Path, tmp_path: Path) -> Path:
    """Return what `duplicates` wrote about a folder where one photo is there twice."""
    shutil.copytree(photos / "0", tmp_path / "copied")
    shutil.copy(min((tmp_path / "copied").iterdir()), tmp_path / "copied/zz.png")
    out = tmp_path / "dups"
    assert main(["duplicates", str(run), str(tmp_path / "copied"), "--out", str(out)]) == 0
    return out


def test_moves_and_takes_back(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted((tmp_path / "copied").iterdir())
    capsys.readouterr()
    assert main(["apply", str(found), "--move-to", str(tmp_path / "spare")]) == 0
    shown = capsys.readouterr()
    assert "1 images moved to" in shown.out
    assert f"lookalike apply {found} --undo" in shown.err
    assert [path.name for path in (tmp_path / "spare").iterdir()] == ["zz.png"]
    assert len(list((tmp_path / "copied").iterdir())) == len(before) - 1
    assert main(["apply", str(found), "--undo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"moved_back": 1}
    assert sorted((tmp_path / "copied").iterdir()) == before


def test_says_what_was_moved_to_programs(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["apply", str(found), "--move-to", str(tmp_path / "spare"), "--json"]) == 0
    told = {"moved": 1, "to": str(tmp_path / "spare"), "skipped": []}
    assert json.loads(capsys.readouterr().out) == told


def test_one_link_stops_nothing_and_is_told(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = found / "duplicates.csv"
    (tmp_path / "copied/link.png").symlink_to("zz.png")
    size = (tmp_path / "copied/zz.png").stat().st_size
    with open(table, "a") as file:
        file.write(f"1,link.png,no,1.0,1,1,{size},\n")
    assert main(["apply", str(found), "--move-to", str(tmp_path / "spare")]) == 0
    shown = capsys.readouterr().out
    assert "1 images moved" in shown
    assert "link.png: a link, which holds nothing of its own" in shown


def test_wants_one_thing_to_do(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", str(found)]) == 2
    assert "--move-to FOLDER, or --undo" in capsys.readouterr().err
    assert main(["apply", str(found), "--undo", "--move-to", str(tmp_path / "spare")]) == 2
    assert main(["apply", str(found), "--undo"]) == 2
    assert "nothing was moved" in capsys.readouterr().err
    assert main(["apply", str(tmp_path / "nowhere"), "--move-to", str(tmp_path / "spare")]) == 2
    assert "write it with lookalike duplicates" in capsys.readouterr().err


def test_an_archive_is_left_alone(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.make_archive(str(tmp_path / "photos"), "zip", photos / "1")
    out = tmp_path / "dups"
    assert main(["duplicates", str(run), str(tmp_path / "photos.zip"), "--out", str(out)]) == 0
    assert main(["apply", str(out), "--move-to", str(tmp_path / "spare")]) == 2
    assert "are no files of a folder" in capsys.readouterr().err


def test_goes_by_another_table_of_the_same_groups(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = (found / "duplicates.csv").read_bytes()
    marked = tmp_path / "marked.csv"
    swapped = own.replace(b",yes,", b",?,").replace(b",no,", b",yes,").replace(b",?,", b",no,")
    marked.write_bytes(swapped)
    words = ["apply", str(found), "--table", str(marked)]
    assert main([*words, "--move-to", str(tmp_path / "spare")]) == 0
    (moved,) = (tmp_path / "spare").iterdir()
    assert moved.name != "zz.png", "the other one of the pair"
    assert (found / "duplicates.csv").read_bytes() == own
    assert main([*words, "--undo"]) == 2
    assert "leave --table out" in capsys.readouterr().err
    assert main(["apply", str(found), "--undo"]) == 0
    marked.write_bytes(own.replace(b"zz.png", b"yy.png"))
    assert main([*words, "--move-to", str(tmp_path / "spare")]) == 2
    assert "is not made from" in capsys.readouterr().err
