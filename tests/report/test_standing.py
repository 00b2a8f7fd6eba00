"""Where a run stands: what its files say, at every moment of their being written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lookalike.errors import UsageError
from lookalike.report.standing import BLOCKS, QUIET, read_standing, sparkline
from lookalike.training.progress import Progress


def text(folder: Path, **told) -> str:
    return "\n".join(read_standing(folder).tell(**told))


def rewrite(folder: Path, **record) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | record))


def test_bars_are_means_from_the_lowest_to_the_highest():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == BLOCKS
    assert sparkline([0, 0, 7, 7, 3, 5], 3, "01234567") == "074"  # pairs, and their means
    assert sparkline([5, 5, 5], 8) == BLOCKS[0] * 3  # no more bars than numbers
    assert len(sparkline(range(1000), 48)) == 48


def test_a_sum_is_kept_by_bars_of_one_length():
    numbers = [((7 * place) % 11) / 10 for place in range(40)]
    slow = [sum(numbers[start : start + 5]) / 5 for start in range(0, 40, 5)]
    assert sparkline(numbers, 8) == sparkline(slow, 8)


def test_shows_the_last_of_every_reading(full_run: Path):
    rows = [json.loads(line) for line in (full_run / "metrics.jsonl").read_text().splitlines()]
    last = {kind: [row for row in rows if row["kind"] == kind][-1] for kind in ("train", "monitor")}
    speed = json.loads((full_run / "speed.jsonl").read_text().splitlines()[-1])
    shown = text(full_run)
    for words in (
        f"{last['train']['loss']:.4g}",
        f"{last['monitor']['spread']:.2f}",
        f"{last['monitor']['knn_top1']:.1%}",
        f"{speed['images_per_second']:,.0f}",
        "step 1,200",
        "took 3 min 52 s",
        "evaluated: kNN",
    ):
        assert words in shown
    assert "eta" not in shown  # it is done


def test_a_running_run_says_what_its_log_said_last(minimal_run: Path):
    with Progress(minimal_run / "log.txt", printing=False) as progress:
        progress.show(1180, 1200, {"epoch": "39/40", "wait": "3%", "eta": "1 min 2 s"}, now=True)
        progress.show(1190, 1200, {"epoch": "40/40", "wait": "7%", "eta": "31 s"}, now=True)
        progress.say("warning: something else")
    rewrite(minimal_run, status="running")
    shown = text(minimal_run)
    for words in ("running", "step 1,200/1,200", "epoch 40/40", "wait 7%", "eta 31 s"):
        assert words in shown


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_is_half_written_is_left_for_the_next_look(minimal_run: Path, cut: int):
    path = minimal_run / "metrics.jsonl"
    whole = read_standing(minimal_run)
    row = {"kind": "train", "step": 1210, "epoch": 41, "lr": 0.1, "loss": 2.0}
    path.write_text(path.read_text() + (json.dumps(row) + "\n")[:cut])
    assert read_standing(minimal_run) == whole


def test_a_run_that_has_only_begun_is_shown(tmp_path: Path):
    (tmp_path / "run.json").write_text('{"status": "running", "resolved": {"method": "simclr"}}')
    shown = text(tmp_path)
    assert "step 0" in shown
    assert "no warnings" in shown
    (tmp_path / "metrics.jsonl").touch()
    assert text(tmp_path) == shown


def test_warns_of_what_is_worth_a_look(minimal_run: Path):
    readings = {"kind": "monitor", "step": 1200, "epoch": 40, "spread": 0.01, "rankme": 1.2}
    with open(minimal_run / "metrics.jsonl", "a") as file:
        file.write(json.dumps(readings) + "\n")
    (minimal_run / "speed.jsonl").write_text('{"step": 9, "wait_share": 0.41}\n')
    (minimal_run / "unreadable.csv").write_text("id,reason\na.jpg,truncated\nb.jpg,empty\n")
    rewrite(minimal_run, status="running")
    written = max(path.stat().st_mtime for path in minimal_run.glob("*.json*"))
    found = read_standing(minimal_run, now=written + 2 * QUIET).warnings
    for words in ("Spread is 0.01", "41% of the time", "2 images cannot", "nothing new for 4 min"):
        assert any(words in warning for warning in found), words
    assert len(read_standing(minimal_run, now=written).warnings) == len(found) - 1


def test_a_failed_run_shows_how_it_ended(full_run: Path):
    rewrite(full_run, status="failed")
    assert "the end" in text(full_run)  # of log.txt
    assert read_standing(full_run).ended


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_stay_inside_the_terminal(full_run: Path, width: int):
    (full_run / "unreadable.csv").unlink()
    assert max(map(len, read_standing(full_run).tell(width=width))) <= width


def test_a_file_that_is_none_of_ours_is_told_of(minimal_run: Path):
    (minimal_run / "metrics.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        read_standing(minimal_run)
    with pytest.raises(UsageError, match="is no run"):
        read_standing(minimal_run.parent)


def test_watching_needs_no_torch(full_run: Path):
    code = (
        "import sys; from lookalike.cli.app import main; "
        f"code = main(['watch', {str(full_run)!r}]); "
        "sys.exit(code or any(n in sys.modules for n in ('torch', 'PIL')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, timeout=300, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "kNN" in done.stdout
    assert os.linesep not in done.stdout.split("\n")[0]
