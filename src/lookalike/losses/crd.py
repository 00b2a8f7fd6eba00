"""Contrastive representation distillation (CRD). Tian et al. 2019, arXiv:1910.10699, section 3."""

import torch
from torch import Tensor

from lookalike import _check
from lookalike.losses.instance_nce import estimated_normaliser, instance_nce_loss
from lookalike.pairwise.similarity import row_logsumexp, unit_rows


def crd_loss(
    student: Tensor,
    teacher: Tensor,
    *,
    labels: Tensor | None = None,
    temperature: float = 0.07,
    stop_gradient: bool = True,
) -> Tensor:
    """Find each image's teacher by its student in the batch, and its student by its teacher.

    InfoNCE with the rest of the batch for negatives, both ways: what the paper's objective comes to
    without its memory, which `crd_memory_loss` has. Memory is O(B D); the arithmetic is that of
    `similarity`, float32 or float64.

    Args:
        student: (B, D), B >= 1, any scale; a linear map of the student's features in the paper.
        teacher: (B, D), row i of the image of row i of `student`.
        labels: (B,) integers: images of one label are no negatives of each other, as in the paper;
            None: all others are.
        temperature: > 0 (paper: 0.07); lower weighs the nearest negatives more.
        stop_gradient: whether the teacher's side is a constant. False where it is a linear map that
            learns, as in the paper; the teacher itself is then for the caller to detach.

    Returns:
        () sum of both ways, each a mean over the batch, in nats, >= 0: 2 log(B) where all rows are
        equal and no labels are given, 0 where B is 1. A row of norm 0 has cosine 0 with every row.

    Raises:
        ValueError: shapes do not match; no row; temperature <= 0.
    """
    _check.same_matrix(student=student, teacher=teacher)
    _check.at_least(1, rows=len(student))
    _check.positive(temperature=temperature)
    if labels is not None:
        _check.labels_of(len(student), labels=labels)
    if stop_gradient:
        teacher = teacher.detach()
    student, teacher = unit_rows(student), unit_rows(teacher)
    own = (student * teacher).sum(1) / temperature  # (B,)
    found = _candidates(student, teacher, own, labels, 1 / temperature)
    found = found + _candidates(teacher, student, own, labels, 1 / temperature)
    loss: Tensor = (found - 2 * own).mean()
    return loss


def _candidates(
    rows: Tensor, columns: Tensor, own: Tensor, labels: Tensor | None, scale: float
) -> Tensor:
    """Return the log-sum-exp of each row's own column and its negatives, (B,)."""
    if labels is None:
        return row_logsumexp(rows, columns, scale=scale)
    others = row_logsumexp(rows, columns, scale=scale, row_labels=labels, among="different")
    return torch.logaddexp(own, others)


def crd_memory_loss(
    student_scores: Tensor,
    teacher_scores: Tensor,
    *,
    images: int,
    normalisers: Tensor,
    temperature: float = 0.07,
) -> Tensor:
    """Tell the image's own row of the other side's memory from rows of other images, both ways.

    Each side has a `MemoryBank`. With P = exp(score / temperature) / Z and h = P / (P + K / n), the
    loss of a side is -log h of the image's own row less the sum of log(1 - h) over the K others.

    Args:
        student_scores: (B, 1 + K) cosines of the students with rows of the teachers' memory, first
            the image's own, then K >= 1 of other images (paper: 16,384, of other classes). A score
            of -inf is of a row that does not count, such as one of the image's class.
        teacher_scores: (B, 1 + K) cosines of the teachers with rows of the students' memory. The
            gradient reaches them, for in the paper the teacher's linear map learns too; the teacher
            itself is for the caller to detach.
        images: n, rows in a memory.
        normalisers: (2,) Z of either side, > 0, taken as constants: `crd_normalisers` of the first
            batch, for good.
        temperature: > 0 (paper: 0.07).

    Returns:
        () sum of both sides, each a mean over the batch, in nats, >= 0; a side is
        log(1 + K) + K log(1 + 1 / K) where every P is 1 / n: at 16,384, 10.704.

    Raises:
        ValueError: shapes do not match; no row or K; temperature <= 0; images < 1.
    """
    sides = _sides(student_scores, teacher_scores)
    if tuple(normalisers.shape) != (2,):
        raise ValueError(f"normalisers must have shape (2,), got {tuple(normalisers.shape)}")
    both = [
        instance_nce_loss(*side, images=images, normaliser=normaliser, temperature=temperature)
        for side, normaliser in zip(sides, normalisers.unbind(), strict=True)
    ]
    return both[0] + both[1]


def crd_normalisers(
    student_scores: Tensor, teacher_scores: Tensor, *, images: int, temperature: float = 0.07
) -> Tensor:
    """Return Z of either side as the paper estimates it: n times the mean of exp(score / T).

    Args:
        student_scores: (B, 1 + K), as for `crd_memory_loss`.
        teacher_scores: (B, 1 + K).
        images: n.
        temperature: > 0.

    Returns:
        (2,) > 0, without gradient. A score of -inf has a mass of 0.

    Raises:
        ValueError: shapes do not match; no row or K.
    """
    sides = _sides(student_scores, teacher_scores)
    return torch.stack(
        [estimated_normaliser(*side, images=images, temperature=temperature) for side in sides]
    )


def _sides(*scores: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return each side's own score and others', (B,) and (B, K)."""
    student, teacher = scores
    _check.same_matrix(student_scores=student, teacher_scores=teacher)
    _check.at_least(1, rows=student.shape[0])
    _check.at_least(2, scores=student.shape[1])
    return [(side[:, 0], side[:, 1:]) for side in scores]
