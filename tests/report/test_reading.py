"""Reading a run folder: what is damaged is told, never a crash."""

from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.report.reading import read_gallery, read_run


def test_everything_of_a_full_run_is_read(full_run: Path) -> None:
    record = read_run(full_run)
    assert record.gallery is not None
    assert record.evaluation is not None
    assert (len(record.train), len(record.monitors), len(record.speed)) == (120, 21, 40)
    assert record.unreadable == (("train/0/bad.jpg", "truncated"),)
    assert record.log == ("step 1,200/1,200  loss 3.1", "the end")
    assert not record.damaged


def test_what_a_minimal_run_lacks_is_said(minimal_run: Path) -> None:
    record = read_run(minimal_run)
    assert record.gallery is None
    assert record.evaluation is None
    assert record.unreadable is None
    assert not record.damaged
    assert record.absence("gallery.npz") == "The run folder has no gallery.npz."


def test_a_damaged_last_line_costs_that_line_only(minimal_run: Path) -> None:
    path = minimal_run / "metrics.jsonl"
    whole = read_run(minimal_run).train
    path.write_text(path.read_text() + '{"kind": "train", "step": 1210, "lo')
    record = read_run(minimal_run)
    assert record.train == whole
    assert "1 of its lines" in record.damaged["metrics.jsonl"]


@pytest.mark.parametrize(
    "name", ["gallery.npz", "evaluation.json", "unreadable.csv", "metrics.jsonl", "speed.jsonl"]
)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00 no", b"[1, 2]", b'{"a": 1}'])
def test_a_damaged_file_never_stops_the_reading(full_run: Path, name: str, content: bytes) -> None:
    whole = read_run(full_run)
    (full_run / name).write_bytes(content)
    record = read_run(full_run)
    assert record.run == whole.run
    assert record.log == whole.log
    assert set(record.damaged) <= {name}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("thumbs", np.zeros((200, 8, 9, 3), np.uint8), "thumbs must be"),
        ("thumbs", np.zeros((3, 8, 8, 3), np.uint8), "one row an image"),
        ("labels", np.full(200, 10), "no class name"),
        ("vectors", np.full((200, 4), np.nan, np.float32), "finite"),
        ("ids", np.array([object()]), "allow_pickle"),
    ],
)
def test_a_gallery_that_cannot_be_is_refused(
    full_run: Path, name: str, value: np.ndarray, reason: str
) -> None:
    with np.load(full_run / "gallery.npz") as table:
        arrays = dict(table)
    np.savez(full_run / "gallery.npz", **(arrays | {name: value}))
    with pytest.raises(ValueError, match=reason):
        read_gallery(full_run / "gallery.npz")
    assert reason in read_run(full_run).absence("gallery.npz")


def test_a_folder_without_a_run_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UsageError, match=r"run\.json cannot be read"):
        read_run(tmp_path)
