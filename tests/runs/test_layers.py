"""A run's network, layer by layer: the walk against the parts it is made of."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.errors import UsageError
from lookalike.inference import evaluating, load_encoder
from lookalike.runs.building import load_method
from lookalike.runs.job import train
from lookalike.runs.layers import load_stages
from lookalike.views.make import normalise


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(
        "hands/test",
        out=tmp_path_factory.mktemp("run") / "run",
        backbone="small_conv",
        backbone_arguments={"width": 4},
        method_arguments={"layers": 3},
        size=16,
        epochs=1,
        evaluate=False,
        quiet=True,
    )


@pytest.fixture(scope="module")
def squares():
    images = open_source("hands/test")
    return torch.from_numpy(load_squares(images.select(range(20)), 16)[0])


def test_the_first_stage_is_the_encoder_and_the_last_what_the_loss_compares(run, squares):
    stages = load_stages(run.path)(squares)
    assert list(stages) == ["backbone", "projector 1", "projector 2", "projector 3"]
    torch.testing.assert_close(
        stages["backbone"], load_encoder(run.path, device="cpu").represent(squares)
    )
    method = load_method(run.path)
    pictures = normalise(squares, run.config["mean"], run.config["std"])
    with torch.no_grad(), evaluating(method):
        inner = method.projector[:6](method.backbone(pictures))  # two of linear, norm, ReLU
        torch.testing.assert_close(stages["projector 2"], inner)
        torch.testing.assert_close(stages["projector 3"], method.embed(pictures))


def test_batches_do_not_matter(run, squares):
    whole, parts = (load_stages(run.path, batch_size=size)(squares) for size in (256, 7))
    assert all(vectors.shape[0] == 20 for vectors in parts.values())
    for name, vectors in whole.items():
        torch.testing.assert_close(vectors, parts[name])


@pytest.mark.parametrize("key", ["method", "backbone", "loss", "student"])
def test_code_from_elsewhere_is_not_run_unless_trusted(run, tmp_path, monkeypatch, key):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("raise RuntimeError('this was run')\n")
    shutil.copytree(run.path, "copy")
    record = json.loads(Path("copy/run.json").read_text())
    named = {key: "mine.py:Mine"}
    if key in ("loss", "student"):
        method, needed = {"loss": ("metric", {}), "student": ("sftn", {"class_count": 5})}[key]
        named = {"method": method, "method_arguments": {**needed, **named}}
    record["resolved"] |= named
    Path("copy/run.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"needs the code of mine\.py:Mine"):
        load_stages("copy")
    with pytest.raises((RuntimeError, UsageError), match=r"this was run|mine\.py"):
        load_stages("copy", trust_code=True)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no run\.json"):
        load_stages(tmp_path)
