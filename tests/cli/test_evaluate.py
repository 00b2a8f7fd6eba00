"""`evaluate` prints what the scorecard measures, and keeps it for the report."""

from __future__ import annotations

import html
import json
import shutil
from pathlib import Path

import pytest

from lookalike.cli.app import main
from lookalike.evaluation.verdict import BASELINES, tell_verdict


def test_prints_one_object_with_the_promised_numbers(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--data", str(photos), "--json", "--k", "3"]) == 0
    told = json.loads(capsys.readouterr().out)
    for name in ("knn_top1", "linear_top1", "raw_pixels_knn_top1", "untrained_knn_top1"):
        assert 0 <= told[name] <= 1, name
    assert told["k"] == 3
    assert json.loads((run / "evaluation.json").read_text()) == told


def test_prints_a_table_for_people(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--data", str(photos)]) == 0
    shown = capsys.readouterr()
    assert "kNN top-1" in shown.out
    assert "raw pixels" in shown.out
    assert f"wrote  {run / 'evaluation.json'}" in shown.err


def test_ends_with_what_training_gained(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence is the report's, and it names the best of the baselines."""
    assert main(["evaluate", str(run), "--data", str(photos)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    told = json.loads((run / "evaluation.json").read_text())
    assert last == tell_verdict(told)
    assert "Next: " in last
    assert (
        f"{100 * max(told[f'{way}_knn_top1'] for way in BASELINES if way != 'starting'):.1f} %"
        in last
    )
    assert main(["report", str(run)]) == 0
    assert last.replace(" %", "\u00a0%") in html.unescape((run / "report.html").read_text())


def test_baselines_are_measured_once_unless_told_otherwise(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = ["evaluate", str(run), "--data", str(photos)]
    assert main([*words, "--no-cache"]) == 0
    told = (run / "evaluation.json").read_bytes()
    assert not (tmp_path / "cache").exists()
    for _ in range(2):
        assert main(words) == 0
        assert (run / "evaluation.json").read_bytes() == told
        assert len(list((tmp_path / "cache/lookalike/baselines").iterdir())) == 4


def test_layers_are_probed_when_asked_for(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(run), "--data", str(photos), "--layers"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["layers"]) == ["backbone", "projector 1", "projector 2"]
    kept = told["layers"]["backbone"]
    for name in ("dim", "linear_top1", "knn_top1"):
        assert kept[name] == pytest.approx(told[name])
    assert told["alpha_req"] is None or told["alpha_req"] > 0
    assert main(words) == 0
    rows = capsys.readouterr().out.splitlines()
    title = next(place for place, row in enumerate(rows) if row.startswith("after each layer"))
    assert [row.split("  ")[1] for row in rows[title + 1 : title + 4]] == list(told["layers"])
    assert main(["report", str(run)]) == 0
    assert "Where to cut off the head" in (run / "report.html").read_text()


def test_layers_need_a_run(run: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run / "model"), "--data", str(photos), "--layers"]) == 2
    assert "no run.json" in capsys.readouterr().err


def test_layers_need_labels(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, data = tmp_path / "run", tmp_path / "data"  # the run's own evaluation stays
    shutil.copytree(run, copy)
    shutil.copytree(photos / "0", data)
    assert main(["evaluate", str(copy), "--data", str(data), "--layers", "--json"]) == 0
    shown = capsys.readouterr()
    assert "layers" not in json.loads(shown.out)
    assert "no layer can be probed" in shown.err


def test_a_student_is_compared_with_its_teacher_when_asked(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = "--backbone small_conv --epochs 1 --batch-size 16 --device cpu --no-evaluate"
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    branches = ["--method", "sftn", "--student.width", "2", "--backbone.width", "4"]
    taught = ["--method", "pesf", "--teacher", str(teacher), "--backbone.width", "2"]
    assert main(["train", str(photos), "--out", str(teacher), *branches, *short.split()]) == 0
    assert main(["train", str(photos), "--out", str(student), *taught, *short.split()]) == 0
    words = ["evaluate", str(student), "--data", str(photos), "--teacher", str(teacher)]
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["teacher"]["run"] == str(teacher)
    assert 0 <= told["teacher"]["agreement"] <= 1
    assert told["teacher"]["temperature"] == 4
    assert json.loads((student / "evaluation.json").read_text()) == told
    assert main(["report", str(student)]) == 0
    capsys.readouterr()
    assert main(words) == 0
    assert f"beside the teacher {teacher}" in capsys.readouterr().out


def test_a_teacher_must_be_a_run(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--data", str(photos), "--teacher", str(photos)]) == 2
    assert "no run.json" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--data", str(photos), "--teacher", str(run)]) == 2
    assert "which tells no classes apart" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["--data nowhere", "--k 0", "--temperature 0"])
def test_refuses_what_cannot_be(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    given = ["--data", str(photos), *words.split()]
    assert main(["evaluate", str(run), *given]) == 2
    assert "error: " in capsys.readouterr().err


def test_a_folder_without_a_run_is_refused(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tmp_path), "--data", str(photos)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_runs_whose_images_have_moved_are_still_scored(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    record = json.loads((copy / "run.json").read_text())
    record["resolved"]["source"] = str(tmp_path / "gone.npz")
    (copy / "run.json").write_text(json.dumps(record))
    assert main(["evaluate", str(copy), "--data", str(photos)]) == 0
    shown = capsys.readouterr()
    assert "what it was trained on cannot vote" in shown.err
    assert "gone.npz" in shown.err
    assert "kNN top-1" in shown.out
