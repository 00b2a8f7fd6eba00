"""What tells a good teacher: how it agrees with its student, how soft and how honest it is.

That a student may learn well and still agree little with its teacher: Stanton et al. 2021,
arXiv:2106.05945. That the most accurate teacher is not the best one: Cho & Hariharan 2019,
arXiv:1910.01348.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses.kd import kd_loss


@dataclass(frozen=True, kw_only=True)
class TeacherMeasures:
    """A teacher and its student over the same labelled images.

    Attributes:
        images: how many.
        teacher_top1: share that the teacher classifies right.
        student_top1: share that the student does.
        agreement: share of images that both put in one class, be it the right one or not.
        divergence: mean KL(teacher || student) of their classes, in nats.
        teacher_entropy: mean entropy of the teacher's softened classes, in nats; log(C) is a
            teacher that says nothing, 0 one that says no more than a label.
        temperature: at which that entropy is taken.
        teacher_calibration_error: how far the teacher's confidence is from its accuracy, in [0, 1].
        student_calibration_error: the same of the student.
        bins: of confidence, in both.
        feature_similarity: linear CKA of their features, in [0, 1]; None where none were given.
    """

    images: int
    teacher_top1: float
    student_top1: float
    agreement: float
    divergence: float
    teacher_entropy: float
    temperature: float
    teacher_calibration_error: float
    student_calibration_error: float
    bins: int
    feature_similarity: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values; None where a likeness of features is not defined."""
        likeness = self.feature_similarity
        undefined = likeness is None or math.isnan(likeness)
        return {**asdict(self), "feature_similarity": None if undefined else likeness}

    def lines(self) -> list[str]:
        """Return a table for people."""
        errors = (self.teacher_calibration_error, self.student_calibration_error)
        likeness = self.to_json()["feature_similarity"]
        rows = {
            f"{self.images:,} labelled images": f"{'teacher':>12}{'student':>12}",
            "top-1": f"{self.teacher_top1:12.1%}{self.student_top1:12.1%}",
            "calibration error": "".join(f"{error:12.3f}" for error in errors),
            "they agree on": f"{self.agreement:12.1%}",
            "KL(teacher || student)": f"{self.divergence:12.3f} nats",
            f"teacher's entropy, T = {self.temperature:g}": f"{self.teacher_entropy:12.3f} nats",
            "features alike (linear CKA)": "" if likeness is None else f"{likeness:12.3f}",
        }
        return [f"{label:28}{shown}" for label, shown in rows.items() if shown]


def measure_teacher(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    student_features: Tensor | None = None,
    teacher_features: Tensor | None = None,
    temperature: float = 4.0,
    bins: int = 15,
) -> TeacherMeasures:
    """Return all that this file measures, of images that neither network was trained on.

    Args:
        student_logits: (N, C), N >= 1.
        teacher_logits: (N, C) of the same images.
        labels: (N,) integers in [0, C - 1].
        student_features: (N, D), to compare with the teacher's; both or none.
        teacher_features: (N, D').
        temperature: > 0, that students are taught at.
        bins: >= 1, of confidence.

    Raises:
        ValueError: an argument is not as above.
    """
    _check.same_matrix(student_logits=student_logits, teacher_logits=teacher_logits)
    if (student_features is None) != (teacher_features is None):
        raise ValueError("student_features and teacher_features must come both, or neither")
    similarity = None
    if student_features is not None and teacher_features is not None:
        _check.labels_of(len(student_features), labels=labels)
        similarity = linear_cka(student_features, teacher_features)
    return TeacherMeasures(
        images=len(labels),
        teacher_top1=accuracy(teacher_logits, labels),
        student_top1=accuracy(student_logits, labels),
        agreement=agreement(student_logits, teacher_logits),
        divergence=mean_divergence(student_logits, teacher_logits),
        teacher_entropy=mean_entropy(teacher_logits, temperature=temperature),
        temperature=temperature,
        teacher_calibration_error=calibration_error(teacher_logits, labels, bins=bins),
        student_calibration_error=calibration_error(student_logits, labels, bins=bins),
        bins=bins,
        feature_similarity=similarity,
    )


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of images whose largest logit is that of their label.

    Args:
        logits: (N, C), N >= 1.
        labels: (N,) integers.

    Raises:
        ValueError: shapes do not match, or there is no row.
    """
    _rows(logits=logits)
    _check.labels_of(len(logits), labels=labels)
    return float((logits.argmax(1) == labels).double().mean())


def agreement(student_logits: Tensor, teacher_logits: Tensor) -> float:
    """Return the share of images that student and teacher put in one class.

    Args:
        student_logits: (N, C), N >= 1.
        teacher_logits: (N, C) of the same images.

    Raises:
        ValueError: shapes differ, are not 2-D or hold no row.
    """
    _check.same_matrix(student_logits=student_logits, teacher_logits=teacher_logits)
    return accuracy(student_logits, teacher_logits.argmax(1))


@torch.no_grad()
def mean_divergence(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: float = 1.0
) -> float:
    """Return the mean of KL(teacher || student), in nats: `kd_loss` without its T^2.

    Args:
        student_logits: (N, C), N >= 1.
        teacher_logits: (N, C) of the same images.
        temperature: > 0, that divides both.

    Raises:
        ValueError: shapes differ, are not 2-D or hold no row; temperature <= 0.
    """
    both = student_logits.double(), teacher_logits.double()
    return max(0.0, float(kd_loss(*both, temperature=temperature)) / temperature**2)


@torch.no_grad()
def mean_entropy(logits: Tensor, *, temperature: float = 1.0) -> float:
    """Return the mean entropy of the softmax of logits / temperature, in nats: in [0, log C].

    Args:
        logits: (N, C), N >= 1.
        temperature: > 0.

    Raises:
        ValueError: logits are no matrix with a row; temperature <= 0.
    """
    _rows(logits=logits)
    _check.positive(temperature=temperature)
    logarithms = (logits.double() / temperature).log_softmax(1)
    return max(0.0, float(-(logarithms.exp() * logarithms).sum(1).mean()))


@torch.no_grad()
def calibration_error(logits: Tensor, labels: Tensor, *, bins: int = 15) -> float:
    """Return the expected calibration error (ECE). Guo et al. 2017, arXiv:1706.04599, equation 3.

    An image's confidence is its largest probability. Bin m of M holds confidences above (m - 1) / M
    and up to m / M; the error is the mean over images of |accuracy - mean confidence| of their bin.

    Args:
        logits: (N, C), N >= 1.
        labels: (N,) integers.
        bins: M >= 1. With few images and many bins the error of a perfect network is not 0.

    Returns:
        In [0, 1].

    Raises:
        ValueError: shapes do not match, or there is no row; bins < 1.
    """
    _rows(logits=logits)
    _check.labels_of(len(logits), labels=labels)
    _check.at_least(1, bins=bins)
    confidence, guess = logits.double().softmax(1).max(1)  # (N,)
    edges = torch.arange(1, bins, device=logits.device).double() / bins  # between two bins
    gaps = confidence.new_zeros(bins)
    gaps.index_add_(0, torch.bucketize(confidence, edges), (guess == labels).double() - confidence)
    return float(gaps.abs().sum() / len(logits))


@torch.no_grad()
def linear_cka(first: Tensor, second: Tensor) -> float:
    """Return how alike two sets of features are, but for rotation and scale, by linear CKA.

    With X and Y the two, each column less its mean, it is |X^T Y|^2 / (|X^T X| |Y^T Y|), in
    Frobenius norms; here from products of columns or of rows, whichever are fewer. Centred kernel
    alignment: Kornblith et al. 2019, arXiv:1905.00414, section 3.

    Args:
        first: (N, D), N >= 2.
        second: (N, D') of the same images.

    Returns:
        In [0, 1]: 1 where one is the other rotated, scaled and moved; nan where all rows of one are
        equal. With fewer images than columns it is large whatever the features.

    Raises:
        ValueError: they are no matrices of as many rows, or of fewer than two.
    """
    _check.matrix(first=first, second=second)
    _check.at_least(2, rows=len(first))
    if len(first) != len(second):
        shapes = tuple(first.shape), tuple(second.shape)
        raise ValueError(f"first and second must have as many rows, got shapes {shapes}")
    x, y = (_centred(each.double()) for each in (first, second))
    if len(x) <= max(x.shape[1], y.shape[1]):
        x, y = x @ x.T, y @ y.T  # (N, N), whose product is |X^T Y|^2
        alike, lengths = (x * y).sum(), x.norm() * y.norm()
    else:
        alike, lengths = (x.T @ y).square().sum(), (x.T @ x).norm() * (y.T @ y).norm()
    return min(1.0, float(alike / lengths)) if lengths > 0 else math.nan


def _centred(features: Tensor) -> Tensor:
    """Return the columns less their means; 0 where what is left is rounding."""
    centred = features - features.mean(0)
    rounding = 4 * torch.finfo(features.dtype).eps * features.norm(dim=0)
    return centred.where(centred.norm(dim=0) > rounding, 0.0)


def _rows(**matrices: Tensor) -> None:
    _check.matrix(**matrices)
    for matrix in matrices.values():
        _check.at_least(1, rows=len(matrix))
