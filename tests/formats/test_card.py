"""A model card says what files say, and where; it invents nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lookalike.formats.agreement import Agreement
from lookalike.formats.card import model_card
from lookalike.training.run_folder import Run

AGREEMENT = Agreement("hands", 8, 0.99999)
SCORES = {
    "dim": 32,
    "knn_top1": 0.8125,
    "knn_top1_ci95": [0.75, 0.875],
    "linear_top1": None,
    "raw_pixels_dim": 12,
    "raw_pixels_knn_top1": 0.4375,
    "source": "a|b",
    "protocol": "west votes on east",
    "query_images": 1234,
    "k": 7,
    "temperature": 0.1,
    "seed": 5,
}


@pytest.fixture
def scored(a_run, encoder):
    scores = SCORES | {"fingerprint": encoder.fingerprint()}
    (a_run / "evaluation.json").write_text(json.dumps(scores))
    return a_run


def card(encoder, run: Path | None, to: str = "onnx", name: str = "mine.onnx") -> str:
    return model_card(encoder, to=to, name=name, agreement=AGREEMENT, run=run and Run(run))


def change(run: Path, **settings) -> None:
    record = json.loads((run / "run.json").read_text())
    record["resolved"] |= settings
    (run / "run.json").write_text(json.dumps(record))


def test_numbers_are_those_of_the_scorecard_beside_its_baselines(encoder, scored):
    text = card(encoder, scored)
    assert "| | encoder | raw pixels |" in text
    assert "| kNN top-1 | 81.2% | 43.8% |" in text
    assert "| width | 32 | 12 |" in text
    assert "linear" not in text
    assert "1,234 images of a\\|b; west votes on east; seed 5" in text
    assert "k = 7, temperature 0.1; the encoder's 95 % interval is 75.0% to 87.5%" in text
    assert "From `evaluation.json` of the run" in text


def test_every_number_under_measured_is_in_the_scorecard(encoder, scored):
    measured = card(encoder, scored).partition("## Measured")[2].partition("## Limits")[0]
    known = {"81.2", "43.8", "32", "12", "1,234", "5", "7", "0.1", "95", "75.0", "87.5", "1"}
    assert set(re.findall(r"\d[\d,.]*\d|\d", measured)) == known


def test_the_numbers_of_another_encoder_are_not_repeated(encoder, scored, make_encoder):
    text = card(make_encoder(width=4, size=25), scored)
    assert "is of another encoder" in text
    assert "81.2" not in text


def test_what_is_not_known_is_said(encoder, a_run):
    assert "has no `evaluation.json`" in card(encoder, a_run)
    (a_run / "evaluation.json").write_text("{")
    assert "`evaluation.json` is damaged" in card(encoder, a_run)
    text = card(encoder, None)
    assert "Not known: it was exported without its run" in text
    assert "Nothing is known" in text


def test_data_and_method_are_those_of_the_run_without_its_paths(encoder, a_run):
    change(a_run, source="/home/me/secret/cats", method_arguments={"temperature": 0.5})
    text = card(encoder, a_run)
    assert "| images | 40 of cats, split train |" in text
    assert "| method | simclr, temperature 0.5 |" in text
    assert "| ended | done |" in text
    assert "secret" not in text
    assert "unreadable" not in text


def test_whose_weights_training_started_from_is_said(encoder, a_run, make_encoder):
    assert "started from" not in card(encoder, a_run)
    change(a_run, **{"from": "/home/me/runs/teacher"})
    text = card(encoder, a_run)
    assert "| started from | teacher |" in text
    assert "another encoder: see its licence" in text
    other = make_encoder("timm/test_resnet", size=32)
    other.arguments["pretrained"] = True
    assert "timm publishes for timm/test_resnet: see theirs" in card(other, None)


@pytest.mark.parametrize("to", ["onnx", "torch", "safetensors", "huggingface"])
def test_the_use_is_python_and_the_licence_is_left_open(encoder, to):
    text = card(encoder, None, to, name="mine")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    compile(code, "card", "exec")
    assert '"mine"' in code or '"local-dir:mine"' in code
    assert "Not chosen. Choose one before you publish" in text
    assert text.startswith("---\nlibrary_name: timm\n" if to == "huggingface" else "# mine\n")
    assert str(AGREEMENT) in text
