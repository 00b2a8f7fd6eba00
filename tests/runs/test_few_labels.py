"""Few labels: which step sees which labels, and that a second call trains nothing."""

import json

import pytest

from lookalike.errors import UsageError
from lookalike.runs.few_labels import RIVALS, STEPS, learn_from_few
from lookalike.training.run_folder import Run

SMALL = {
    "epochs": 1,
    "fine_epochs": 2,
    "teach_epochs": 1,
    "backbone": "small_conv",
    "backbone_arguments": {"width": 2},
    "size": 16,
    "limit": 200,
    "quiet": True,
}


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    out, told = tmp_path_factory.mktemp("runs") / "few", []
    return out, told, learn_from_few("hands", labels=0.1, out=out, say=told.append, **SMALL)


def test_every_step_is_a_run_and_every_classifier_is_judged(learnt):
    out, told, found = learnt
    assert len(told) == len(STEPS) + len(RIVALS)
    assert all(Run(out / name).status == "done" for name in STEPS + RIVALS)
    assert set(found.accuracies) == {*STEPS[1:], *RIVALS}
    assert all(0 <= share <= 1 for share in found.accuracies.values())
    assert json.loads((out / "few_labels.json").read_text()) == json.loads(
        json.dumps(found.to_json())
    )
    assert len(found.lines()) == 6


def test_few_labels_are_seen_and_the_same_ones_by_all_who_see_any(learnt):
    out, _, found = learnt
    chosen = [(out / name / "labelled.csv").read_text() for name in ("finetuned", "alone")]
    assert chosen[0] == chosen[1]
    assert len(chosen[0].splitlines()) - 1 == found.labels
    assert found.labels + found.unlabelled == 200
    for name in ("distilled", "pseudo"):
        config = Run(out / name).config
        assert config["images"] == 200
        assert config["method_arguments"]["label_weight"] == 0.0  # the labels are never touched


def test_fine_tuning_starts_in_the_head_and_the_student_where_it_did(learnt):
    out, _, _ = learnt
    begun = [Run(out / name).config for name in ("finetuned", "distilled")]
    assert {each["backbone"] for each in begun} == {"embedding"}
    assert begun[0]["start"] == begun[1]["start"]


def test_a_second_call_trains_nothing(learnt):
    out, _, found = learnt
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    assert learn_from_few("hands", labels=0.1, out=out, **SMALL) == found
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_there_must_be_something_to_judge_on(tmp_path):
    with pytest.raises(UsageError, match="no split to judge on"):
        learn_from_few("hands/train", labels=0.1, out=tmp_path / "run")
