"""Names that move a terminal's cursor, forge a line or are formulas: shown, kept, and moved."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.cli.app import main

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m"
FORGED = "x\nerror: forged\nwrote  forged"
FORMULA = "=cmd|' /C calc'!A0"
CLASSES = (f"class {ESCAPE}", f"+{FORGED}", f"{FORMULA}")
PREFIXES = ("=", "+", "-", "@", "\t", "'=", FORGED, ESCAPE)
FIRST = ("=", "+", "-", "@", "\t", "\r")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return pictures whose names are hostile, some of them twice, and one that is none."""
    folder = tmp_path_factory.mktemp("hostile") / "photos"
    random = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (folder / name.replace("/", "∕")).mkdir(parents=True)
        for number, prefix in enumerate(PREFIXES):
            pixels = random.integers(0, 120, (24, 24, 3), np.uint8)
            pixels[..., label] += 100
            path = folder / name.replace("/", "∕") / f"{prefix}{number}.png"
            Image.fromarray(pixels).save(path)
    for path in list(folder.rglob("*.png"))[:5]:
        path.with_name(f"{path.stem} again.png").write_bytes(path.read_bytes())
    (folder / CLASSES[0] / f"broken{FORGED}{ESCAPE}.png").write_bytes(b"no image")
    (folder / CLASSES[0] / f"notes{FORGED}{ESCAPE}.txt").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def run(photos: Path) -> Path:
    out = photos.parent / "run"
    words = "--epochs 1 --batch-size 8 --size 16 --device cpu --max-unreadable 0.5"
    network = "--backbone small_conv --backbone.width 4 --method supervised"
    assert main(["train", str(photos), "--out", str(out), *f"{words} {network}".split(" ")]) == 0
    return out


@pytest.fixture(scope="module")
def collection(photos: Path, run: Path) -> Path:
    out = photos.parent / "photos.vec"
    assert main(["embed", str(run), str(photos), "--out", str(out), "--max-unreadable", "1"]) == 0
    return out


COMMANDS = {
    "check": "check PHOTOS --show-skipped",
    "train": "train PHOTOS --out OUT --epochs 1 --batch-size 8 --size 16 --device cpu "
    "--max-unreadable 0.5 --backbone small_conv --backbone.width 4",
    "too many": "train PHOTOS --out OUT --max-unreadable 0",
    "evaluate": "evaluate RUN --data PHOTOS --max-unreadable 1",
    "embed": "embed RUN PHOTOS --out OUT --max-unreadable 1",
    "embed few": "embed RUN PHOTOS --out OUT --max-unreadable 0",
    "search": "search COLLECTION ID",
    "search json": "search COLLECTION ID --json",
    "unknown": "search COLLECTION UNKNOWN",
    "duplicates": "duplicates COLLECTION --out OUT",
    "cluster": "cluster RUN PHOTOS --out OUT --folders --max-unreadable 1",
    "outliers": "outliers COLLECTION --out OUT",
    "leaks": "leaks RUN PHOTOS PHOTOS --out OUT --max-unreadable 1",
    "select": "select COLLECTION --out OUT --count 9",
    "views": "views PHOTOS --out OUT",
    "watch": "watch RUN --once",
    "report": "report RUN",
    "wrong": "evaluate RUN --data MISSING",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_but_letters_reaches_the_terminal(
    photos, run, collection, tmp_path, monkeypatch, name, capfd
):
    monkeypatch.chdir(tmp_path)
    first = next(path for path in sorted(photos.rglob("*.png")) if FORGED in path.name)
    places = {
        "PHOTOS": photos,
        "RUN": run,
        "COLLECTION": collection,
        "OUT": tmp_path / "out",
        "ID": first.relative_to(photos),
        "UNKNOWN": f"{ESCAPE}{FORGED}",
        "MISSING": f"{ESCAPE}{FORGED}",
    }
    capfd.readouterr()
    assert main([str(places.get(word, word)) for word in COMMANDS[name].split()]) in (0, 2, 3)
    shown = capfd.readouterr()
    for stream in (shown.out, shown.err):
        strange = {letter for letter in stream if not letter.isprintable() and letter != "\n"}
        assert not strange
        begins = [line for line in stream.splitlines() if line.startswith(("error: f", "wrote  f"))]
        assert not begins
    for table in (tmp_path / "out").glob("*.csv") if (tmp_path / "out").is_dir() else ():
        with open(table, newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                for cell in row:
                    assert not cell.startswith(FIRST) or _is_number(cell), (table, cell)
    log = tmp_path / "out/log.txt"
    assert not log.exists() or log.read_text().replace("\n", "").isprintable()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_json_holds_the_names_themselves(photos, run, collection, capsys):
    capsys.readouterr()
    assert main(["check", str(photos), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["classes"]) == {name.replace("/", "∕") for name in CLASSES}


def test_what_is_listed_under_a_formula_is_moved_and_comes_back(photos, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, picture in enumerate(sorted(photos.rglob("*.png"))):
        for name in ("=1+1", "-a", "@b", "+c d", "\t=e", "\r=f", "'=g", "'h", ESCAPE):
            if number < 9 or name == "'h":
                path = tmp_path / "images" / name / f"{name}{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(picture.read_bytes())
    before = sorted(Path("images").rglob("*.png"))
    assert main(["embed", str(run), "images", "--out", "v", "--max-unreadable", "1"]) == 0
    assert main(["duplicates", "v", "--out", "dups"]) == 0
    with open("dups/duplicates.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert not any(cell.startswith(FIRST) for row in rows for cell in row.values())
    assert main(["apply", "dups", "--move-to", "=spare"]) == 0
    spared = sum(row["keep"] == "no" for row in rows)
    assert len(list(Path("=spare").rglob("*.png"))) == spared >= 8 * 8
    assert main(["apply", "dups", "--undo"]) == 0
    assert sorted(Path("images").rglob("*.png")) == before


def test_a_table_that_was_written_is_a_source_again(photos, run, tmp_path):
    """The shares of labels that a run was given are listed by name, and the names are files."""
    picture = next(path for path in photos.rglob("*.png") if path.name.startswith("=0"))
    (tmp_path / "=a.png").write_bytes(picture.read_bytes())
    (tmp_path / "b.png").write_bytes(picture.read_bytes())
    (tmp_path / "table.csv").write_text("path,label\n'=a.png,'=x\nb.png,y\n")
    from lookalike.data.sources import open_source

    images = open_source(tmp_path / "table.csv")
    assert (images.ids, images.class_names) == (("=a.png", "b.png"), ("=x", "y"))
    assert len(images.read(0)) == picture.stat().st_size
