"""Measures of a run are what the evaluation rooms say of its vectors."""

import json
import math
from types import SimpleNamespace

import pytest
import torch

from lookalike.backbones.build import build_backbone
from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.embeddings import Embeddings
from lookalike.errors import UsageError
from lookalike.evaluation.linear_probe import linear_probe
from lookalike.evaluation.spectrum import effective_rank
from lookalike.inference import Encoder, load_encoder
from lookalike.papers.measures import MEASURES, layer_linear_top1
from lookalike.runs.building import load_method
from lookalike.runs.job import train
from lookalike.views.make import normalise


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(
        "hands",
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
def classifier(tmp_path_factory):
    return train(
        "hands",
        out=tmp_path_factory.mktemp("run") / "classifier",
        method="supervised",
        backbone_arguments={"width": 4},
        size=16,
        epochs=2,
        evaluate=False,
        quiet=True,
    )


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_a_share_above_chance(run, classifier, name):
    run = classifier if name == "classifier_top1" else run
    score = MEASURES[name](run, "hands")
    chance = 0.15 if name.endswith("top1") else 0  # ten classes
    most = math.log(1 + 126 * math.exp(2 / 0.5)) if name.endswith("loss") else 1  # NT-Xent's bound
    assert chance < score < most
    assert score == MEASURES[name](run, "hands")


def test_the_untrained_encoder_is_the_one_that_training_began_with(run):
    before = load_encoder(run.path).restarted(seed=run.config["seed"])
    train_set, test_set = (before.embed(open_source("hands", split=s)) for s in ("train", "test"))
    expected = linear_probe(train_set, test_set).accuracy
    assert MEASURES["untrained_linear_top1"](run, "hands") == expected
    assert MEASURES["linear_top1"](run, "hands") != expected


def test_quarters_are_measured_one_image_at_a_time_alike(run):
    """A slow loop: each image's maps, the maxima of their quarters, and a probe on these."""
    encoder = load_encoder(run.path)
    sides = []
    for split in ("train", "test"):
        images = open_source("hands", split=split)
        squares, _ = load_squares(images, encoder.size)
        rows = []
        for square in torch.from_numpy(squares):
            picture = normalise(square[None], encoder.mean, encoder.std)
            with torch.no_grad():
                stages = encoder.backbone.eval().stages(picture)
            halves = [
                part.flatten(1).amax(1)
                for (maps,) in stages
                for rows_of in maps.tensor_split(2, dim=1)  # sides of 16, 8, 4 and 2
                for part in rows_of.tensor_split(2, dim=2)
            ]
            rows.append(torch.cat(halves))
        sides.append(Embeddings(torch.stack(rows).numpy(), images.ids, images.labels))
    slow = linear_probe(*sides).accuracy
    assert MEASURES["quadrant_linear_top1"](run, "hands") == pytest.approx(slow, abs=0.01)


def test_a_backbone_that_hides_its_layers_is_named(tmp_path):
    network = build_backbone("patches", width=4)
    Encoder(network, size=64, name="patches", arguments={"width": 4}).save(tmp_path / "model")
    with pytest.raises(UsageError, match="patches shows no layers"):
        MEASURES["quadrant_linear_top1"](SimpleNamespace(path=tmp_path), "hands")


def test_the_head_is_measured_by_itself(run):
    """With its projector taken off, what comes after the head is what comes before it."""
    encoder = load_encoder(run.path)
    train_set, test_set = (encoder.embed(open_source("hands", split=s)) for s in ("train", "test"))
    before = linear_probe(train_set, test_set).accuracy
    assert MEASURES["linear_top1"](run, "hands") == before
    assert load_method(run.path).projector is not None
    assert MEASURES["head_linear_top1"](run, "hands") != before


def test_a_layer_is_measured_without_normalising(run):
    encoder = load_encoder(run.path)
    sides = []
    for split in ("train", "test"):
        images = open_source("hands", split=split)
        vectors = encoder.represent(torch.from_numpy(load_squares(images, 16)[0])).numpy()
        sides.append(Embeddings(vectors, images.ids, images.labels, images.class_names))
    train_set, test_set = sides
    assert MEASURES["backbone_linear_top1"](run, "hands") == linear_probe(*sides).accuracy
    rank = effective_rank(torch.from_numpy(test_set.vectors))
    share = MEASURES["rankme_share"](run, "hands")
    assert share == pytest.approx(rank / train_set.vectors.shape[1], rel=1e-5)


def test_a_layer_that_is_not_there_is_refused(run):
    with pytest.raises(ValueError, match="backbone, projector 1, projector 2, projector 3, got"):
        layer_linear_top1("projector 4")(run, "hands")


def test_losses_and_spread_are_those_of_the_metrics(run):
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if row["kind"] == "train"]
    found = [MEASURES[f"{which}_loss"](run, "hands") for which in ("first", "highest", "last")]
    assert found == [losses[0], max(losses), losses[-1]]
    spreads = [row["spread"] for row in rows if row["kind"] == "monitor"]
    assert MEASURES["last_spread"](run, "hands") == spreads[-1]
