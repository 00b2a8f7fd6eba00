"""What cannot be read is counted, listed, and an error if it is too much."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.data.quarantine import Quarantine, Unreadable, survey
from lookalike.data.sources import open_source
from lookalike.errors import DataError


def test_an_image_counts_once() -> None:
    quarantine = Quarantine(300)
    for name in ("b", "a", "b"):
        quarantine.add(name, f"reason of {name}")
    assert list(quarantine) == [("a", "reason of a"), ("b", "reason of b")]
    assert len(quarantine) == 2
    assert quarantine.share == pytest.approx(2 / 300)


def test_too_many_are_an_error_that_says_what_to_do() -> None:
    quarantine = Quarantine(1200)
    for number in range(12):
        quarantine.add(f"{number}.jpg", "cut off")
    quarantine.raise_if_above()  # 1 % is allowed
    quarantine.add("12.jpg", "cut off")
    with pytest.raises(DataError) as told:
        quarantine.raise_if_above()
    assert told.value.exit_code == 3
    what, fix = str(told.value).splitlines()
    assert what.startswith("13 of 1,200 images cannot be read (1.1%, allowed are 1.0%)")
    assert fix.startswith("fix: ")
    quarantine.raise_if_above(0.02)
    Quarantine(0).raise_if_above(0.0)


def test_the_list_can_be_read_back_whatever_the_names(tmp_path: Path) -> None:
    names = ['a,"b"\n.jpg', "</script>.png", "caf\\xe9.jpg", "雪.gif"]
    quarantine = Quarantine(9, ignored=[Unreadable("read.me", "not an image by its name (.me)")])
    quarantine.write_csv(tmp_path / "unreadable.csv")
    for name in names:
        quarantine.add(name, "cut off, half way")
    quarantine.write_csv(tmp_path / "unreadable.csv")
    with open(tmp_path / "unreadable.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "reason"]
    assert rows[1:-1] == [[name, "cut off, half way"] for name in sorted(names)]
    assert rows[-1] == ["read.me", "ignored: not an image by its name (.me)"]
    assert [path.name for path in tmp_path.iterdir()] == ["unreadable.csv"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of three classes with copies and damage in it."""
    for name, size, kind in (
        ("a/1.png", (30, 20), "PNG"),
        ("a/2.jpg", (10, 40), "JPEG"),
        ("b/3.gif", (5, 5), "GIF"),
        ("c/4.png", (7, 9), "PNG"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", size, "red").save(tmp_path / name, kind)
    raw = (tmp_path / "a/1.png").read_bytes()
    (tmp_path / "b/copy.png").write_bytes(raw)
    (tmp_path / "b/cut.png").write_bytes(raw[:-30])
    (tmp_path / "c/empty.png").write_bytes(b"")
    (tmp_path / "c/also_empty.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("...")
    return tmp_path


def test_a_survey_sees_every_image(folder: Path) -> None:
    images, told = open_source(folder), []
    found = survey(images, progress=lambda *done: told.append(done))
    readable = [images.ids[place] for place in found.positions]
    assert readable == ["a/1.png", "a/2.jpg", "b/3.gif", "b/copy.png", "c/4.png"]
    assert found.sizes.tolist() == [[20, 30], [40, 10], [5, 5], [20, 30], [9, 7]]
    assert found.formats == {"PNG": 3, "JPEG": 1, "GIF": 1}
    assert found.classes == {"a": 2, "b": 2, "c": 1}
    assert found.copies == (("a/1.png", "b/copy.png"),)
    assert dict(found.unreadable) == {
        "b/cut.png": "cut off: the file ends before the image does",
        "c/also_empty.png": "an empty file",
        "c/empty.png": "an empty file",
    }
    assert [one.id for one in found.ignored] == ["notes.txt"]
    assert (found.count, len(told), told[-1]) == (8, 8, (8, 8))
    assert found.seconds > 0


def test_a_survey_of_headers_does_not_see_what_lies_behind(folder: Path) -> None:
    found = survey(open_source(folder), decode_all=False)
    assert [one.id for one in found.unreadable] == ["c/also_empty.png", "c/empty.png"]
    assert found.sizes[3:5].tolist() == [[20, 30], [20, 30]]
    assert found.copies == ()


def test_a_survey_keeps_the_pixel_limit(folder: Path) -> None:
    found = survey(open_source(folder), max_pixels=500)
    assert sum("more than 500 pixels" in one.reason for one in found.unreadable) == 3


def test_arrays_are_surveyed_too(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3, 4), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=pixels[[0, 1, 2, 0, 4]], labels=[1, 1, 0, 1, -1])
    found = survey(open_source(tmp_path / "a.npz"))
    assert found.copies == (("0", "3"),)
    assert found.classes == {"0": 1, "1": 3}
    assert found.formats == {"array": 5}


def test_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    found = survey(open_source(tmp_path))
    assert found.sizes.shape == (0, 2)
    assert found.positions.tolist() == []
