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
