"""What a run's classifier says of images, and how near it is to what its teacher says."""

from __future__ import annotations

import torch
from torch import Tensor

from lookalike.data.image_set import ImageSet
from lookalike.errors import UsageError
from lookalike.evaluation.teacher import TeacherMeasures, measure_teacher
from lookalike.inference import evaluating, squares_in_parts
from lookalike.methods.base import Classifies
from lookalike.runs.building import load_method
from lookalike.training.run_folder import Run
from lookalike.views.make import normalise

BATCH = 256

TAUGHT_AT = 4.0
"""Temperature at which a teacher's answers are looked at, where its student names none."""


def answer(run: Run, images: ImageSet, *, trust_code: bool = False) -> tuple[Tensor, Tensor]:
    """Return what a run's classifier says of images, and their labels.

    Args:
        run: of a method that classifies, with a checkpoint.
        images: those that cannot be read are left out.
        trust_code: whether the run may need the code of a file or package that it names.

    Returns:
        (N, C) float32 logits, and (N,) int64 labels, -1 where unknown.

    Raises:
        UsageError: the run's method tells no classes apart, or needs code that is not trusted.
    """
    _, logits, labels = _see(run, images, trust_code=trust_code)
    return logits, labels


def compare_answers(
    student: Run, teacher: Run, images: ImageSet, *, trust_code: bool = False
) -> TeacherMeasures:
    """Measure a student beside a teacher on images, each as it was trained to see them.

    Args:
        student: a run that classifies.
        teacher: another, of the same classes; whether it was this student's does not matter.
        images: those without a label of these classes, or that cannot be read, are left out.
        trust_code: whether the runs may need the code of a file or package that they name.

    Raises:
        UsageError: a run tells no classes apart, they tell others apart, no image has a label of
            theirs, or code is needed that is not trusted.
    """
    names = {run.path: tuple(run.config["classes"]) for run in (student, teacher)}
    classes = names[teacher.path]
    if names[student.path] not in ((), classes):  # a student of unlabelled images names none
        raise UsageError(
            f"{student.path} and {teacher.path} do not tell the same classes apart\n"
            "  fix: a teacher that was trained on the student's classes"
        )
    place = {name: number for number, name in enumerate(classes)}
    known = torch.tensor([place.get(name, -1) for name in images.class_names] + [-1])
    features, said, labels = _see(student, images, trust_code=trust_code)
    their_features, their_answers, _ = _see(teacher, images, trust_code=trust_code)
    labels = known[labels]  # the last is that of no label
    told = labels >= 0
    if int(told.sum()) < 2:
        raise UsageError(
            f"{images.name} has fewer than two images labelled with a class of {teacher.path}\n"
            "  fix: other --data, or leave out --teacher"
        )
    return measure_teacher(
        said[told],
        their_answers[told],
        labels[told],
        student_features=features[told],
        teacher_features=their_features[told],
        temperature=student.config["method_arguments"].get("temperature", TAUGHT_AT),
    )


def _see(run: Run, images: ImageSet, *, trust_code: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return representations (N, D), logits (N, C) and labels (N,) of what can be read."""
    method, config = load_method(run.path, trust_code=trust_code), run.config
    if not isinstance(method, Classifies):
        raise UsageError(f"{run.path} is a run of {config['method']}, which tells no classes apart")
    features, logits, labels = [torch.zeros(0, 0)], [torch.zeros(0, 0)], []
    known = torch.from_numpy(images.labels)
    with torch.no_grad(), evaluating(method):
        for squares, positions in squares_in_parts(images, config["size"]):
            for part in torch.split(squares, BATCH):
                pictures = normalise(part, config["mean"], config["std"])
                pictures = pictures.contiguous(memory_format=torch.channels_last)
                features.append(method.backbone(pictures).float())
                logits.append(method.classifier(features[-1]).float())
            labels.append(known[torch.from_numpy(positions)])
    seen = [torch.cat(parts[1:] or parts) for parts in (features, logits)]
    return seen[0], seen[1], torch.cat(labels or [known[:0]])
