"""`train` leaves a run folder whole, says what it did, and refuses what cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import lookalike
from lookalike.cli import train as train_file
from lookalike.cli.app import main


def test_leaves_what_scripts_rely_on(run: Path) -> None:
    for name in (
        "run.json",
        "metrics.jsonl",
        "unreadable.csv",
        "checkpoints/LATEST",
        "model/model.safetensors",
        "model/config.json",
        "model/preprocessor.json",
        "views.png",
        "evaluation.json",
        "log.txt",
    ):
        assert (run / name).is_file(), name
    assert lookalike.load(run).backbone.dim > 0


def test_options_reach_what_they_are_of(run: Path) -> None:
    resolved = json.loads((run / "run.json").read_text())["resolved"]
    assert resolved["backbone_arguments"] == {"width": 4}
    assert (resolved["epochs"], resolved["batch_size"]) == (2, 16)


def test_a_finished_run_is_left_alone_and_told_of(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--backbone small_conv --backbone.width 4 --batch-size 16 --epochs 2 --device cpu"
    before = (run / "run.json").read_bytes()
    assert main(["train", str(photos), "--out", str(run), "--json", *words.split()]) == 0
    shown = capsys.readouterr()
    assert (run / "run.json").read_bytes() == before
    assert "nothing to do" in shown.err
    assert shown.err.splitlines()[-1] == f"next   lookalike report {run}"
    told = json.loads(shown.out)
    assert told["status"] == "done"
    assert told["evaluation"]["knn_top1"] >= 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epochs 3", "holds a run of other settings"),
        ("--method.temperature 0", "temperature"),
        ("--views zzz", "--views zzz is no plan"),
        ("--optim zzz", "'zzz' is no optimizer"),
        ("--backbone.width 0", "width"),
    ],
)
def test_what_cannot_be_is_said_in_a_line_and_nothing_is_lost(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    given = "--backbone small_conv --backbone.width 4 --batch-size 16 --epochs 2 --device cpu"
    assert main(["train", str(photos), "--out", str(run), *given.split(), *words.split()]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    kept = {path: path.read_bytes() for path in before if path.name != "log.txt"}
    assert kept == {path: content for path, content in before.items() if path.name != "log.txt"}


def test_several_processes_are_this_command_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(train_file, "run_processes", lambda *given: asked.extend(given) or 75)
    monkeypatch.setattr("sys.argv", ["lookalike", "train", "photos", "--processes", "2"])
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert main(["train", "photos", "--processes", "2"]) == 75
    assert asked == [2, ["train", "photos", "--processes", "2"]]


def test_two_processes_make_one_run(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = "--backbone small_conv --backbone.width 4 --batch-size 16 --epochs 1 --device cpu"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "lookalike",
            "train",
            photos,
            "--out",
            out,
            *words.split(),
            "--no-evaluate",
            "--processes",
            "2",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((out / "run.json").read_text())
    assert (record["status"], record["resolved"]["processes"]) == ("done", 2)
    assert done.stderr.count("next   lookalike report") == 1


def write_pairs(path: Path, photos: Path, *more: str, count: int = 12) -> Path:
    """List pairs of neighbours in the order of names, of one class and of two."""
    names = sorted(f"{file.parent.name}/{file.name}" for file in photos.rglob("*.png"))
    near, far = zip(names[0::2], names[1::2], strict=True), zip(names, names[12:], strict=False)
    rows = [f"{a},{b},1" for a, b in [*near][:count]] + [f"{a},{b},0" for a, b in [*far][:count]]
    path.write_text("\n".join(["path_a,path_b,same", *rows, *more]))
    return path


ON_PAIRS = "--method drlim --backbone small_conv --backbone.width 4 --epochs 1 --device cpu"


def test_pairs_say_what_is_alike_and_verify_comes_next(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, out = write_pairs(tmp_path / "pairs.csv", photos), tmp_path / "run"
    words = [*ON_PAIRS.split(), "--pairs", str(pairs), "--no-evaluate", "--no-pairs-balanced"]
    assert main(["train", str(photos), "--out", str(out), *words]) == 0
    said = capsys.readouterr().err
    assert "in 24 pairs to learn from" in said
    assert said.splitlines()[-1] == f"next   lookalike verify {out} {pairs}"
    resolved = json.loads((out / "run.json").read_text())["resolved"]
    assert (resolved["sampling"], resolved["pairs_balanced"]) == ("pairs", False)
    assert main(["verify", str(out), str(pairs), "--bootstraps", "0"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--pairs nowhere.csv", 2, "--pairs nowhere.csv is no file"),
        ("--pairs missing.csv", 3, "1 of the 25 pairs"),
        ("--pairs alike.csv", 3, "all of the 1 pairs in alike.csv are alike"),
        ("--pairs pairs.csv --batch-size 9", 2, "--batch-size 9 is odd"),
        ("--pairs pairs.csv --batch-size 64", 2, "takes 32 pairs, and an epoch has 24"),
        ("--pairs pairs.csv --method simclr", 2, "--method simclr learns from no pairs"),
        ("--pairs pairs.csv --sampling classes", 2, "--sampling does not go with --pairs"),
        ("--pairs-balanced", 2, "--pairs-balanced says nothing without pairs"),
    ],
)
def test_pairs_that_cannot_be_are_said_in_a_line_and_what_to_do(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "pairs.csv", photos)
    write_pairs(tmp_path / "missing.csv", photos, "0/none.png,1/none.png,0")
    first, second = (tmp_path / "pairs.csv").read_text().splitlines()[:2]
    (tmp_path / "alike.csv").write_text(f"{first}\n{second}")
    assert main(["train", str(photos), "--out", "run", *ON_PAIRS.split(), *words.split()]) == code
    said = capsys.readouterr().err
    told = said[said.index("error: ") :].splitlines()
    assert message in told[0]
    assert told[1].startswith("  fix: ")
    assert "Traceback" not in said
    assert not (tmp_path / "run" / "run.json").exists()
