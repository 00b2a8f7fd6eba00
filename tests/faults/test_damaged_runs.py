"""A run.json that is damaged, newer or not its checkpoint's is told in a line, by every command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.cli.app import main

SMALL = "--backbone small_conv --backbone.width 4 --epochs 1 --batch-size 8 --size 16 --quiet"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged") / "photos"
    random = np.random.default_rng(0)
    for number in range(24):
        path = folder / str(number % 3) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def run(photos: Path) -> Path:
    out = photos.parent / "run"
    words = f"--method supervised --no-evaluate --device cpu {SMALL}"
    assert main(["train", str(photos), "--out", str(out), *words.split(" ")]) == 0
    return out


def settings(**changes: object) -> object:
    return lambda record: record | {"resolved": record["resolved"] | changes}


def without(*names: str) -> object:
    def change(record: dict) -> dict:
        kept = {k: v for k, v in record["resolved"].items() if k not in names}
        return record | {"resolved": kept}

    return change


DAMAGE = {
    "empty": b"",
    "cut short": b'{"format": 1, "resolved": {"method": "superv',
    "no object": b"[]",
    "newer": lambda record: record | {"format": 99},
    "no settings": lambda record: {k: v for k, v in record.items() if k != "resolved"},
    "nothing": b"{}",
    "no method": without("method", "backbone", "method_arguments", "backbone_arguments"),
    "no preparation": without("mean", "std", "size", "source", "classes"),
    "a method of another": settings(method="no_such_method"),
    "other arguments": settings(method_arguments={"no_such_argument": 1}),
    "arguments of a kind": settings(method_arguments={"class_count": "x", "mixup": []}),
    "another network": settings(backbone_arguments={"width": 5}),
    "a huge network": settings(backbone_arguments={"width": 30_000}),
    "numbers for names": settings(source=7, classes=[1], mean="x", std=None),
}
COMMANDS = {
    "evaluate": "evaluate RUN --data PHOTOS",
    "layers": "evaluate RUN --data PHOTOS --layers",
    "beside": "evaluate OWN --data PHOTOS --teacher RUN",
    "again": f"train PHOTOS --out RUN --method supervised {SMALL}",
    "teacher": f"train PHOTOS --out OUT --method distillation --teacher RUN {SMALL}",
    "layer": "train PHOTOS --out OUT --from RUN --from-layer LAYER --epochs 1 --quiet",
    "distill": "distill RUN --student small_conv --out OUT --epochs 1",
    "export": "export RUN --to safetensors --out OUT",
    "report": "report RUN",
    "compare": "report RUN OWN --out OUT",
    "watch": "watch RUN --once",
    "outliers": "outliers RUN PHOTOS --out OUT",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_told_in_a_line(photos, run, tmp_path, command, capsys):
    for name, damage in DAMAGE.items():
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        record = json.loads((copy / "run.json").read_text())
        content = damage if isinstance(damage, bytes) else json.dumps(damage(record)).encode()
        (copy / "run.json").write_bytes(content)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").unlink(missing_ok=True) if (tmp_path / "out").is_file() else None
        places = {"RUN": copy, "OWN": run, "PHOTOS": photos, "OUT": tmp_path / "out"}
        words = [str(places.get(word, word)) for word in COMMANDS[command].split()]
        capsys.readouterr()
        code = main([word.replace("LAYER", "classifier 1") for word in words])
        told = capsys.readouterr().err
        assert code in (0, 2), (name, told)
        assert "internal error" not in told, name
        if name == "newer" and command not in ("outliers",):
            assert code == 2, name
            assert "of format 99, and this lookalike reads up to 1" in told
        if name in ("empty", "cut short", "no object") and command not in ("outliers",):
            assert code == 2, name
            assert "run.json cannot be read" in told
