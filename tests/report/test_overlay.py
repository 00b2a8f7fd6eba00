"""Curves of several runs in one chart: in the right place, over epochs that all of them count."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from lookalike.report.charts import BOTTOM, LEFT, RIGHT, TOP
from lookalike.report.overlay import POINTS, overlay_charts
from lookalike.report.reading import read_run


def chart(charts, title):
    return next(each for each in charts if each.title == title)


def ends(path: str) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split())) for pair in re.findall(r"[ML]([^ML]+)", path)]


def write(folder: Path, *, steps_an_epoch: int, epochs: int, key: str = "spread") -> None:
    folder.mkdir()
    (folder / "run.json").write_text('{"status": "done"}')
    rows = [
        {"kind": "monitor", "step": epoch * steps_an_epoch, "epoch": epoch, key: 0.1 * epoch}
        for epoch in range(epochs + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_same_epoch_is_at_the_same_place_whatever_the_batch(tmp_path: Path):
    write(tmp_path / "a", steps_an_epoch=10, epochs=4)
    write(tmp_path / "b", steps_an_epoch=40, epochs=2)
    runs = {"A": read_run(tmp_path / "a"), "B": read_run(tmp_path / "b")}
    spread = chart(overlay_charts(runs), "Spread")
    first, second = (ends(line.path) for line in spread.lines)
    assert first[:3] == second  # both rise by 0.1 an epoch
    assert [x for x, _ in first] == np.linspace(LEFT, RIGHT, 5).tolist()
    assert spread.x_title == "epoch"
    assert spread.latest == "A 0.4 · B 0.2"
    assert [line.kind for line in spread.lines] == ["run0", "run1"]


def test_steps_are_counted_where_a_run_does_not_tell_its_epochs(tmp_path: Path):
    write(tmp_path / "a", steps_an_epoch=10, epochs=4)
    write(tmp_path / "b", steps_an_epoch=10, epochs=4)
    path = tmp_path / "b" / "metrics.jsonl"
    path.write_text(path.read_text().replace('"epoch"', '"era"'))
    runs = {"A": read_run(tmp_path / "a"), "B": read_run(tmp_path / "b")}
    assert chart(overlay_charts(runs), "Spread").x_title == "step"


def test_a_run_without_a_number_leaves_its_colour_unused(tmp_path: Path):
    write(tmp_path / "a", steps_an_epoch=10, epochs=4, key="rankme")
    write(tmp_path / "b", steps_an_epoch=10, epochs=4)
    runs = {"A": read_run(tmp_path / "a"), "B": read_run(tmp_path / "b")}
    assert [line.kind for line in chart(overlay_charts(runs), "Spread").lines] == ["run1"]
    assert {each.title for each in overlay_charts(runs)} == {"Spread", "Effective rank"}


@pytest.mark.parametrize("title", ["Loss", "kNN accuracy", "Images a second"])
def test_all_that_is_drawn_is_inside_and_little(full_run: Path, title: str):
    run = read_run(full_run)
    found = chart(overlay_charts({"A": run, "B": run}), title)
    for line in found.lines:
        for x, y in ends(line.path):
            assert LEFT <= x <= RIGHT
            assert TOP <= y <= BOTTOM
    assert len(found.points) <= 2 * (POINTS + 2)
    assert {said[0] for _, _, said in found.points} == {"A", "B"}


def test_a_run_that_logged_nothing_is_no_obstacle(tmp_path: Path, minimal_run: Path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "run.json").write_text("{}")
    new = read_run(tmp_path / "new")
    assert overlay_charts({"A": new, "B": new}) == []
    assert overlay_charts({"A": new, "B": read_run(minimal_run)})
