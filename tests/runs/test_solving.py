"""Runs whose encoder is solved for: a folder like any other, resumed, shared and put to use."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import lookalike
from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.errors import DataError, PreemptedError, UsageError
from lookalike.runs import job
from lookalike.runs.job import train
from lookalike.training.signals import StopRequest

FEW = {"filters": 8, "patches": (4, 3), "patch_count": 2000, "dim": 12}
SMALL = {"size": 16, "quiet": True, "device": "cpu", "method_arguments": FEW}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    images = open_source("hands")
    images = images.select(np.arange(0, 1536, 12))
    squares, kept = load_squares(images, 24)
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    np.savez(path, images=squares.transpose(0, 2, 3, 1), labels=images.labels[kept])
    return path


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(photos, out=out, method="view_discriminants", **SMALL)


def weights(run):
    return dict(lookalike.load(run.path).backbone.state_dict())


def test_without_a_method_and_a_gpu_an_encoder_is_solved_for(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "_has_gpu", lambda: False)
    run = train(photos, out=tmp_path / "run", size=16, quiet=True, evaluate=False)
    assert run.config["method"] == "view_discriminants"
    choice = run.record["choices"][0]
    assert (choice["name"], choice["value"]) == ("method", "view_discriminants")


def test_with_a_gpu_or_settings_of_gradients_the_default_is_the_papers(monkeypatch):
    monkeypatch.setattr(job, "_has_gpu", lambda: True)
    assert job.asked_for("photos").method == "simclr"
    monkeypatch.setattr(job, "_has_gpu", lambda: False)
    assert job.asked_for("photos", epochs=3).method == "simclr"
    assert job.asked_for("photos", method_arguments={"temperature": 0.2}).method == "simclr"
    assert job.asked_for("photos", method_arguments={"filters": 9}).method == "view_discriminants"
    assert job.asked_for("photos").method == "view_discriminants"


def test_a_run_is_a_run_like_any_other(run):
    names = {path.name for path in run.path.iterdir()}
    assert names >= {"run.json", "model", "views.png", "evaluation.json", "gallery.npz", "log.txt"}
    assert "parts" not in names
    assert run.status == "done"
    assert lookalike.load(run.path).dim == 12


def test_the_same_seed_gives_the_same_bits(run, photos, tmp_path):
    again = train(photos, out=tmp_path / "run", method="view_discriminants", **SMALL)
    for name, tensor in weights(again).items():
        assert torch.equal(tensor, weights(run)[name])


def test_streamed_images_give_nearly_what_images_in_memory_give(run, photos, tmp_path):
    streamed = train(
        photos, out=tmp_path / "run", method="view_discriminants", resident_mb=0, **SMALL
    )
    encoders = [lookalike.load(each.path) for each in (run, streamed)]
    images = open_source(photos).select(np.arange(32))
    first, second = (each.embed(images).vectors for each in encoders)
    likeness = [rows @ rows.T for rows in (first, second)]
    assert np.corrcoef(likeness[0].ravel(), likeness[1].ravel())[0, 1] > 0.95


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_stopped_after_any_part_it_goes_on_to_the_same_bits(
    run, photos, tmp_path, monkeypatch, blocks
):
    asked = 0

    def stops(self):
        nonlocal asked
        asked += 1
        return asked > blocks  # one block a pass: two of patches, one of all, one of views

    settings = {"method": "view_discriminants", "out": tmp_path / "run", **SMALL}
    with monkeypatch.context() as patched:
        patched.setattr(StopRequest, "__bool__", stops)
        with pytest.raises(PreemptedError, match="parts that are solved are saved"):
            train(photos, **settings)
    resumed = train(photos, **settings)
    for name, tensor in weights(resumed).items():
        assert torch.equal(tensor, weights(run)[name])


def test_a_part_that_was_damaged_is_solved_again(run, photos, tmp_path, monkeypatch):
    settings = {"method": "view_discriminants", "out": tmp_path / "run", **SMALL}
    seen = iter(range(100))
    with monkeypatch.context() as patched:
        patched.setattr(StopRequest, "__bool__", lambda self: next(seen) > 2)
        with pytest.raises(PreemptedError):
            train(photos, **settings)
    parts = sorted((tmp_path / "run" / "parts").iterdir())
    content = bytearray(parts[0].read_bytes())
    content[-1] ^= 1
    parts[0].write_bytes(content)
    parts[-1].write_bytes(parts[-1].read_bytes()[:50])
    for name, tensor in weights(train(photos, **settings)).items():
        assert torch.equal(tensor, weights(run)[name])


def test_with_labels_classes_say_what_is_alike(photos, tmp_path):
    run = train(photos, out=tmp_path / "run", method="class_discriminants", **SMALL)
    assert run.config["method"] == "class_discriminants"
    assert run.config["unlabelled"] == 0
    assert lookalike.load(run.path).dim == 12


def test_with_pairs_they_say_what_is_alike(photos, tmp_path):
    images = open_source(photos)
    rows = ["path_a,path_b,same"]
    for first in range(0, 60, 2):
        same = int(images.labels[first] == images.labels[first + 1])
        rows.append(f"{images.ids[first]},{images.ids[first + 1]},{same}")
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(rows) + "\n")
    run = train(photos, out=tmp_path / "run", method="pair_discriminants", pairs=table, **SMALL)
    assert lookalike.load(run.path).dim == 12


def test_discriminants_of_an_encoder_keep_its_preparation(run, photos, tmp_path):
    learnt = train(
        photos,
        out=tmp_path / "learnt",
        method="simclr",
        backbone="small_conv",
        backbone_arguments={"width": 4},
        size=16,
        batch_size=8,
        epochs=1,
        quiet=True,
        evaluate=False,
    )
    settings = {**SMALL, "method_arguments": {"dim": 6}, "size": None}
    found = train(
        photos, out=tmp_path / "run", method="view_discriminants", from_=learnt.path, **settings
    )
    encoder = lookalike.load(found.path)
    assert (encoder.dim, encoder.size) == (6, 16)
    assert encoder.arguments["backbone"] == "small_conv"


@pytest.mark.parametrize("world", [2, 3])
def test_processes_that_share_the_work_agree_with_one(run, photos, tmp_path, world):
    words = (
        f"train {photos} --method view_discriminants --out {tmp_path / 'run'} --size 16 "
        "--method.filters 8 --method.patches 4,3 --method.patch-count 2000 --method.dim 12 "
        f"--no-evaluate --device cpu --processes {world}"
    )
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", *words.split()],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, tensor in lookalike.load(tmp_path / "run").backbone.state_dict().items():
        alone = weights(run)[name]
        assert (tensor - alone).norm() <= 1e-5 * alone.norm()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 3}, "--epochs says nothing to view_discriminants"),
        ({"compile": True}, "--compile says nothing"),
        ({"views": "npid"}, "makes one view"),
        ({"views": "simcrl"}, "is no plan. Did you mean simclr"),
        ({"method_arguments": {"power": 3}}, "power must be in"),
        ({"method_arguments": {"filtres": 3}}, "filtres"),
    ],
)
def test_what_cannot_be_is_one_line(photos, tmp_path, settings, message):
    with pytest.raises(UsageError, match=message):
        train(photos, out=tmp_path / "x", **{**SMALL, "method": "view_discriminants", **settings})


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (np.zeros((1, 20, 20, 3), np.uint8), "1 image is too few"),
        (np.full((20, 20, 20, 3), 77, np.uint8), "look the same"),
    ],
)
def test_images_that_tell_nothing_are_told_so(tmp_path, pictures, message):
    np.savez(tmp_path / "x.npz", images=pictures)
    with pytest.raises(DataError, match=message):
        train(tmp_path / "x.npz", out=tmp_path / "x", method="view_discriminants", **SMALL)


def test_images_smaller_than_a_patch_and_grey_ones_are_sound(tmp_path):
    random = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", images=random.integers(0, 255, (30, 5, 7), dtype=np.uint8))
    run = train(tmp_path / "x.npz", out=tmp_path / "run", method="view_discriminants", quiet=True)
    assert run.config["size"] == 16
    vectors = lookalike.load(run.path).embed(open_source(tmp_path / "x.npz")).vectors
    assert np.isfinite(vectors).all()


def test_an_export_to_onnx_gives_the_same_vectors(run, tmp_path):
    written = lookalike.export(run.path, tmp_path / "encoder.onnx", to="onnx")
    assert written.agreement.cosine > 0.99999


def test_gradients_go_on_from_it(run, photos, tmp_path):
    lookalike.load(run.path).embed(
        open_source(photos).select(np.arange(4))
    )  # leaves nothing behind
    learnt = train(
        photos,
        out=tmp_path / "run",
        method="simclr",
        from_=run.path,
        batch_size=8,
        epochs=1,
        quiet=True,
        evaluate=False,
    )
    assert not all(
        torch.equal(tensor, weights(run)[name]) for name, tensor in weights(learnt).items()
    )
