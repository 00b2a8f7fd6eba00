"""The headline and the scorecard: the numbers of the JSON, and an honest comparison."""

import json
from pathlib import Path
from typing import Any

import pytest

from lookalike.report.confusion import sort_confusion
from lookalike.report.headline import tell, weigh
from lookalike.report.reading import read_run

SCORES: dict[str, Any] = {
    "knn_top1": 0.9,
    "knn_top1_ci95": [0.88, 0.92],
    "raw_pixels_knn_top1": 0.7,
    "raw_pixels_knn_top1_ci95": [0.67, 0.73],
    "untrained_knn_top1": 0.4,
    "linear_top1": 0.95,
    "k": 15,
    "temperature": 0.1,
    "protocol": "train votes on test",
}


def test_the_headline_tells_what_was_trained_on_what(full_run: Path) -> None:
    headline = tell(read_run(full_run))
    assert headline.title.lower() == "simclr on hands"
    assert "1,546 images of hands for 40 epochs, in 3 min 52 s" in headline.sentence
    assert headline.started == "1 October 2026, 12:00 UTC"
    assert dict(headline.facts)["Batch"] == "50"


def test_a_run_that_goes_on_says_how_far_it_is(full_run: Path) -> None:
    run = json.loads((full_run / "run.json").read_text())
    (full_run / "run.json").write_text(json.dumps(run | {"status": "running"}))
    headline = tell(read_run(full_run))
    assert "1,200 steps of 1,200 are done" in headline.sentence


def test_an_empty_record_still_has_a_headline(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    assert tell(read_run(tmp_path)).status == "unknown"


def test_bars_are_the_numbers_of_the_evaluation() -> None:
    scores = weigh(SCORES, sort_confusion([[9, 1], [1, 29]], ["a", "b"]))
    assert [bar.value for bar in scores.bars] == [0.9, 0.95, 0.7, 0.4, 0.75]
    assert scores.bars[0].interval == "88.0 to 92.0\u00a0%"
    assert not scores.bars[1].interval
    assert "k = 15" in scores.protocol
    assert "T = 0.1" in scores.protocol


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        ({}, "20.0 points above the best baseline, raw pixels (70.0\u00a0%)."),
        (
            {"raw_pixels_knn_top1": 0.89, "raw_pixels_knn_top1_ci95": [0.87, 0.91]},
            "intervals overlap",
        ),
        ({"raw_pixels_knn_top1": 0.93}, "Training has not paid off: 3.0 points below"),
        ({"untrained_knn_top1": 0.8}, "10.0 points above the best baseline, the untrained"),
    ],
)
def test_the_comparison_is_honest(pixels: dict[str, Any], says: str) -> None:
    assert says in weigh(SCORES | pixels, None).verdict


def test_layers_are_bars_in_the_order_of_the_network() -> None:
    layers = {
        name: {"dim": 8, "knn_top1": 0.5, "linear_top1": share}
        for name, share in (("backbone", 0.9), ("projector 1", 0.8), ("projector 2", 0.6))
    }
    bars = weigh(SCORES | {"layers": layers}, None).layers
    assert [(bar.name, bar.value) for bar in bars] == [
        ("backbone", 0.9),
        ("projector 1", 0.8),
        ("projector 2", 0.6),
    ]
    assert [bar.kind for bar in bars] == ["encoder", "probe", "probe"]
    assert weigh(SCORES, None).layers == ()
    assert (
        weigh(SCORES | {"layers": {"backbone": {"linear_top1": None}, "x": 3}}, None).layers == ()
    )


def test_both_signs_of_the_spectrum_are_told() -> None:
    told = {
        name: value for name, value, _ in weigh({"rankme": 12.0, "alpha_req": 1.25}, None).numbers
    }
    assert told == {"Effective rank": "12", "Spectrum decay": "1.25"}


def test_without_labels_there_are_no_bars() -> None:
    scores = weigh({"knn_top1": None, "rankme": 12.0, "dim": 64}, None)
    assert not scores.bars
    assert not scores.verdict
    assert scores.numbers[0][1] == "12"
