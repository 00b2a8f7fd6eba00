"""A classifier's answers: those of its method, image by image."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.errors import UsageError
from lookalike.runs.answers import answer, compare_answers
from lookalike.runs.building import load_method
from lookalike.runs.job import train
from lookalike.training.run_folder import Run
from lookalike.views.make import normalise


def a_run(out, method, **changes):
    settings = {"backbone": "small_conv", "backbone_arguments": {"width": 2}, "size": 16, **changes}
    return train(
        "hands", out=out, method=method, limit=64, epochs=1, evaluate=False, quiet=True, **settings
    )


def test_they_are_the_methods_own_of_pictures_as_it_was_trained_on(tmp_path):
    run = a_run(tmp_path / "run", "supervised")
    images = open_source("hands", split="test").select(np.arange(0, 40, 4))
    logits, labels = answer(run, images)
    squares = torch.from_numpy(load_squares(images, 16)[0])
    method = load_method(run.path).eval()
    for row, square in enumerate(squares):
        picture = normalise(square[None], run.config["mean"], run.config["std"])
        torch.testing.assert_close(logits[row], method.classify(picture)[0], rtol=1e-4, atol=1e-5)
    assert labels.tolist() == images.labels.tolist()


def test_a_student_is_measured_beside_its_teacher_as_each_sees_images(tmp_path):
    """Their sizes differ, and what is compared is what `answer` says of both."""
    teacher = a_run(tmp_path / "teacher", "supervised")
    student = a_run(tmp_path / "student", "supervised", size=20, seed=1)
    images = open_source("hands", split="test").select(np.arange(0, 40, 2))
    found = compare_answers(student, teacher, images)
    (ours, labels), (theirs, _) = answer(student, images), answer(teacher, images)
    assert found.images == 20
    assert found.teacher_top1 == pytest.approx(float((theirs.argmax(1) == labels).float().mean()))
    assert found.agreement == pytest.approx(
        float((ours.argmax(1) == theirs.argmax(1)).float().mean())
    )
    entropy = torch.distributions.Categorical(logits=theirs.double() / 4).entropy().mean()
    assert found.teacher_entropy == pytest.approx(float(entropy))
    assert 0 < found.feature_similarity < 1
    same = compare_answers(teacher, teacher, images)
    assert (same.agreement, same.feature_similarity) == (1, pytest.approx(1))
    assert same.divergence == pytest.approx(0, abs=1e-9)


def test_labels_are_those_of_the_runs_whatever_the_images_number_them_by(tmp_path):
    run = a_run(tmp_path / "run", "supervised")
    images = open_source("hands", split="test").select(np.arange(0, 40, 2))
    renamed = replace(
        images,
        labels=len(images.class_names) - 1 - images.labels,
        class_names=images.class_names[::-1],
    )
    assert compare_answers(run, run, renamed) == compare_answers(run, run, images)
    others = replace(images, class_names=tuple(f"other {name}" for name in images.class_names))
    with pytest.raises(UsageError, match="fewer than two images labelled with a class of"):
        compare_answers(run, run, others)


def test_what_tells_other_classes_apart_is_no_teacher(tmp_path):
    run = a_run(tmp_path / "run", "supervised")
    shutil.copytree(run.path, tmp_path / "other")
    record = json.loads((tmp_path / "other/run.json").read_text())
    record["resolved"]["classes"] = record["resolved"]["classes"][::-1]
    (tmp_path / "other/run.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="do not tell the same classes apart"):
        compare_answers(run, Run(tmp_path / "other"), open_source("hands", split="test"))


def test_a_method_without_a_classifier_has_none(tmp_path):
    with pytest.raises(UsageError, match="tells no classes apart"):
        answer(a_run(tmp_path / "run", "simclr"), open_source("hands", split="test"))
