"""`verify` prints what was measured, keeps it for the report, and warns of what was trained on."""

from __future__ import annotations

import json
import shutil
from itertools import combinations
from pathlib import Path

import pytest

from lookalike.cli.app import main
from lookalike.data.sources import open_source


def write_pairs(path: Path, photos: Path, *more: str) -> Path:
    """List all pairs of five photos of each of two classes."""
    names = [name for name in open_source(photos).ids if name[0] in "01"]
    names = [*names[:5], *names[-5:]]
    rows = [f"{a},{b},{int(a[0] == b[0])}" for a, b in combinations(names, 2)]
    path.write_text("\n".join(["path_a,path_b,same", *rows, *more]))
    return path


@pytest.fixture
def pairs(photos: Path, tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs.csv", photos)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """Return a copy of the run, whose own folder stays as it is."""
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def test_one_object_and_two_files(
    copy: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(copy), str(pairs), "--json", "--bootstraps", "20"]) == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert set(told["ways"]) == {"encoder", "raw_pixels", "hog", "untrained"}
    assert (told["pairs"], told["images"], told["trained_on"]) == (45, 10, 10)
    assert told["list"] == "pairs.csv"
    assert json.loads((copy / "verification.json").read_text()) == told
    assert "<h1>Same or not?</h1>" in (copy / "verification.html").read_text()
    warning = next(line for line in shown.err.splitlines() if "warning" in line)
    assert "10 of the 10 images in these pairs were trained on" in warning


def test_a_table_for_people_and_a_section_of_the_report(
    copy: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(copy)]) == 0
    assert 'id="verification"' not in (copy / "report.html").read_text()
    assert main(["verify", str(copy), str(pairs), "--bootstraps", "20"]) == 0
    shown = capsys.readouterr()
    assert "equal error rate" in shown.out
    assert f"wrote  {copy / 'verification.html'}" in shown.err
    assert main(["report", str(copy)]) == 0
    assert 'id="verification"' in (copy / "report.html").read_text()


def test_images_not_trained_on_need_no_warning(
    copy: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads((copy / "run.json").read_text())
    record["resolved"] |= {"images": 3, "unreadable": 0}  # as --limit 3 leaves it
    (copy / "run.json").write_text(json.dumps(record))
    assert main(["verify", str(copy), str(pairs), "--json", "--bootstraps", "0"]) == 0
    shown = capsys.readouterr()
    count = json.loads(shown.out)["trained_on"]
    assert count <= 3
    assert ("were trained on" in shown.err) == (count > 0)


def test_a_model_alone_is_only_read(
    copy: Path, pairs: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(copy.rglob("*"))
    words = ["verify", str(copy / "model"), str(pairs), "--bootstraps", "0"]
    assert main(words) == 2
    assert "--data must name the images" in capsys.readouterr().err
    assert main([*words, "--data", str(photos), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trained_on"] is None
    assert sorted(copy.rglob("*")) == before


def test_missing_images(
    copy: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = write_pairs(tmp_path / "more.csv", photos, "gone.png,0/1.png,1")
    assert main(["verify", str(copy), str(pairs)]) == 3
    told = capsys.readouterr().err
    assert "1 of the 46 pairs" in told
    assert "'gone.png' on row 46" in told
    words = ["verify", str(copy), str(pairs), "--allow-missing", "--bootstraps", "0", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == 1


def test_runs_whose_images_have_moved_still_verify_others(
    copy: Path, pairs: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads((copy / "run.json").read_text())
    record["resolved"]["source"] = str(tmp_path / "gone.npz")
    (copy / "run.json").write_text(json.dumps(record))
    words = ["verify", str(copy), str(pairs), "--data", str(photos), "--bootstraps", "0"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "what it was trained on cannot be told" in shown.err
    assert "gone.npz" in shown.err
