"""What `check` counts, against what was put there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from lookalike.cli.app import main


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Return a folder of 5 images, one a copy, one cut short, beside 12 notes."""
    folder = tmp_path / "mixed"
    for name, colour in (("a/1.png", "red"), ("a/2.png", "red"), ("b/3.png", "blue")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), colour).save(path)
    Image.new("RGB", (8, 6), "green").save(folder / "b/4.jpg")
    (folder / "b/5.jpg").write_bytes((folder / "b/4.jpg").read_bytes()[:100])
    for number in range(12):
        (folder / f"note-{number:02}.txt").touch()
    return folder


def test_counts_what_is_there(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(mixed), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["readable"]) == (5, 4)
    assert found["classes"] == {"a": 2, "b": 2}
    assert found["formats"] == {"PNG": 3, "JPEG": 1}
    assert (found["smallest"], found["largest"]) == ([6, 8], [30, 40])
    assert found["copies"] == [["a/1.png", "a/2.png"]]
    assert [each["id"] for each in found["unreadable"]] == ["b/5.jpg"]
    assert len(found["ignored"]) == 12


def test_tells_it_to_people(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(mixed)]) == 0
    shown = capsys.readouterr()
    for line in (
        "  images      5 in mixed",
        "  sizes       8x6 to 40x30 px, median 40x30",
        "  unreadable  1 (20.0%)",
        "  copies      1 exact",
        "  a/1.png = a/2.png",
        "  and 2 more, which --show-skipped lists",
    ):
        assert line in shown.out.splitlines()
    assert "b/5.jpg: cut off" in shown.out
    assert shown.err.splitlines()[0] == f"reading {mixed}"
    assert shown.err.splitlines()[-1].startswith("next ")


def test_lists_all_when_asked(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(mixed), "--show-skipped"]) == 0
    shown = capsys.readouterr().out
    assert sum("note-" in line for line in shown.splitlines()) == 12
    assert "more, which" not in shown


@pytest.mark.parametrize(("content", "code"), [("missing", 2), ("empty", 3)])
def test_says_what_is_wrong_with_a_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, code: int
) -> None:
    if content == "empty":
        (tmp_path / content).mkdir()
    assert main(["check", str(tmp_path / content)]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: " in shown.err
    assert "\n  fix: " in shown.err


def test_classes_are_named_and_what_is_none_is_remarked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cat", "d\x1bog"):
        (tmp_path / "a" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "a" / name / "1.png")
    for name in ("2019", "2020"):
        (tmp_path / "b" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "b" / name / "1.png")
    assert main(["check", str(tmp_path / "a")]) == 0
    assert "cat, d\\x1bog" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "b")]) == 0
    shown = capsys.readouterr().out
    assert "2019 and 2020 are called like dates or cameras" in " ".join(shown.split())
    assert main(["check", str(tmp_path / "b"), "--json"]) == 0
    assert "dates or cameras" in json.loads(capsys.readouterr().out)["remarks"][0]
