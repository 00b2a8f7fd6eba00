"""A claim is run: every arm with every seed, once; scored, judged and written down."""

import json

import pytest

from lookalike.errors import UsageError
from lookalike.methods.distillation import Distillation
from lookalike.papers import base
from lookalike.papers.base import reproduce
from lookalike.papers.claims import Arm, Claim, Comparison
from lookalike.runs.teachers import load_teachers

CLAIM = Claim(
    name="width",
    says="a wider net beats a narrower one",
    where="section 1",
    arms=(
        Arm(name="wide", settings={"backbone_arguments": {"width": 8}}),
        Arm(name="narrow", settings={"backbone_arguments": {"width": 2}}),
        Arm(
            name="wide, by neighbours",
            settings={"backbone_arguments": {"width": 8}},
            measure="knn_top1",
        ),
    ),
    comparisons=(Comparison(better="wide", worse="narrow"),),
    settings={"backbone": "small_conv", "size": 16, "epochs": 1, "monitor_every": 1},
)


@pytest.fixture
def claim(monkeypatch):
    monkeypatch.setattr(base, "claims_of", lambda paper: (CLAIM,))


def test_every_arm_is_trained_with_every_seed_and_judged(tmp_path, claim):
    lines = []
    (outcome,) = reproduce("mine", seeds=2, out=tmp_path, say=lines.append)
    assert {name: len(scores) for name, scores in outcome.scores.items()} == {
        "wide": 2,
        "narrow": 2,
        "wide, by neighbours": 2,
    }
    assert all(0.05 < score < 1 for scores in outcome.scores.values() for score in scores)
    assert outcome.scores["wide"] != outcome.scores["wide, by neighbours"]
    assert outcome.verdict == CLAIM.judge(outcome.scores)
    assert len(lines) == 6
    written = json.loads((tmp_path / "mine" / "width.json").read_text())
    assert written == json.loads(json.dumps(outcome.to_json()))
    # Arms of equal settings share their runs: 2 widths x 2 seeds.
    runs = sorted((tmp_path / "mine" / "runs").iterdir())
    assert len(runs) == 4

    again = {path: path.stat().st_mtime_ns for run in runs for path in run.rglob("*.safetensors")}
    (second,) = reproduce("mine", seeds=2, out=tmp_path, say=lines.append)
    assert second.scores == outcome.scores
    assert all(path.stat().st_mtime_ns == time for path, time in again.items())


def test_a_table_names_the_winner_first():
    outcome = base.Outcome(
        paper="mine",
        claim=CLAIM,
        source="hands",
        seeds=(0, 1),
        scores={"narrow": (0.2, 0.4), "wide": (0.5, 0.7)},
        verdict="reproduced",
        seconds=1.0,
    )
    title, first, second, comparison, verdict = outcome.lines()
    assert title == "width: a wider net beats a narrower one (section 1)"
    assert first.split()[:4] == ["wide", "60.0%", "±", "14.1%"]
    assert second.split()[:4] == ["narrow", "30.0%", "±", "14.1%"]
    assert comparison.strip() == "wide > narrow: +0.300, reproduced"
    assert verdict.strip() == "reproduced"


def test_a_rule_is_written_down_with_its_verdict():
    outcome = base.Outcome(
        paper="mine",
        claim=CLAIM,
        source="hands",
        seeds=(0,),
        scores={"narrow": (0.2,), "wide": (0.5,)},
        verdict="reproduced",
        seconds=1.0,
    )
    assert outcome.to_json()["comparisons"] == [
        {
            "holds": "wide > narrow",
            "better": "wide",
            "worse": "narrow",
            "margin": 0.0,
            "leads": [pytest.approx(0.3)],
            "verdict": "reproduced",
        }
    ]


@pytest.mark.parametrize("wrong", [{"claim": "widht"}, {"seeds": 0}])
def test_nonsense_is_refused(tmp_path, claim, wrong):
    with pytest.raises(UsageError, match=r"Did you mean width|at least 1"):
        reproduce("mine", out=tmp_path, **wrong)


def add(*, number, seed):
    """Stand in for an experiment without training."""
    return number + seed / 10


EXPERIMENTS = Claim(
    name="sums",
    says="two is more than one",
    where="section 2",
    arms=(
        Arm(name="two", settings={"number": 2}, experiment="arithmetic:add"),
        Arm(name="one", experiment="arithmetic:add"),
    ),
    comparisons=(Comparison(better="two", worse="one", margin=0.5),),
    settings={"number": 1},
    unit="nats",
)


def test_an_experiment_of_its_own_is_called_with_settings_and_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(base, "claims_of", lambda paper: (EXPERIMENTS,))
    monkeypatch.setattr(base.registry, "locate", lambda room, name: (room, name))
    monkeypatch.setattr(base.registry, "load", {("papers", "arithmetic:add"): add}.get)
    lines = []
    (outcome,) = reproduce("mine", seeds=3, out=tmp_path, say=lines.append)
    assert outcome.scores == {"two": (2.0, 2.1, 2.2), "one": (1.0, 1.1, 1.2)}
    assert outcome.verdict == "reproduced"
    assert outcome.source is None
    assert not (tmp_path / "mine" / "runs").exists()  # nothing was trained
    assert "two, seed 1: 2.100 nats" in lines[2]
    written = json.loads((tmp_path / "mine" / "sums.json").read_text())
    assert (written["unit"], written["source"], written["measure"]) == ("nats", None, None)


def test_a_table_of_other_numbers_than_shares_has_their_unit():
    outcome = base.Outcome(
        paper="mine",
        claim=EXPERIMENTS,
        source=None,
        seeds=(0, 1),
        scores={"two": (4.0, 4.0), "one": (1.0, 3.0)},
        verdict="reproduced",
        seconds=1.0,
    )
    _, first, second, *_ = outcome.lines()
    assert first.split() == ["two", "4.000", "nats", "±", "0.000", "nats", "█" * 40]
    assert second.split() == ["one", "2.000", "nats", "±", "1.414", "nats", "█" * 20]


def test_what_teaches_and_what_is_started_from_are_trained_first_and_once(tmp_path):
    settings = {"backbone": "small_conv", "size": 16, "epochs": 1, "seed": 0, "monitor_every": 1}
    teacher = {**settings, "backbone_arguments": {"width": 4}, "method": "supervised"}
    start = {**settings, "backbone_arguments": {"width": 2}, "method": "supervised"}
    both = {
        "method": "distillation",
        "taught_by": {name: value for name, value in teacher.items() if name != "seed"},
        "starts_from": {name: value for name, value in start.items() if name != "seed"},
        **{name: settings[name] for name in ("size", "epochs", "seed", "monitor_every")},
    }
    run = base.trained("hands", both, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    first = base.trained("hands", teacher, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    assert run.record["resolved"]["from"] == str(base.trained("hands", start, tmp_path).path)
    assert (
        run.config["teachers"]
        == load_teachers([first.path], method=Distillation, download=False).digest
    )
