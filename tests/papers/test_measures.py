"""Measures of a run are what the evaluation rooms say of its vectors."""

import pytest

from lookalike.data.sources import open_source
from lookalike.evaluation.linear_probe import linear_probe
from lookalike.inference import load_encoder
from lookalike.papers.measures import MEASURES
from lookalike.training.job import load_method, train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(
        "hands",
        out=tmp_path_factory.mktemp("run") / "run",
        backbone="small_conv",
        backbone_arguments={"width": 4},
        size=16,
        epochs=1,
        evaluate=False,
        quiet=True,
    )


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_a_share_above_chance(run, name):
    score = MEASURES[name](run, "hands")
    assert 0.15 < score < 1  # ten classes
    assert score == MEASURES[name](run, "hands")


def test_the_head_is_measured_by_itself(run):
    """With its projector taken off, what comes after the head is what comes before it."""
    encoder = load_encoder(run.path)
    train_set, test_set = (encoder.embed(open_source("hands", split=s)) for s in ("train", "test"))
    before = linear_probe(train_set, test_set).accuracy
    assert MEASURES["linear_top1"](run, "hands") == before
    assert load_method(run.path).projector is not None
    assert MEASURES["head_linear_top1"](run, "hands") != before
