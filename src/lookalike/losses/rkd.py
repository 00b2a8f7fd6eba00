"""Relational knowledge distillation. Park et al. 2019, arXiv:1904.05068, section 3.2."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._angles import angle_gaps
from lookalike.pairwise.distances import centred, pair_squares, root, widened


def rkd_loss(
    student: Tensor, teacher: Tensor, *, distance: float = 1.0, angle: float = 2.0
) -> Tensor:
    """Both relations of a batch, weighted: a student that keeps the teacher's shape, at any scale.

    Args:
        student: (B, D_S), B >= 3.
        teacher: (B, D_T), row i of the image of row i of `student`; gets no gradient.
        distance: >= 0, weight of `rkd_distance_loss` (paper: 1 for embeddings that retrieve, 25
            beside a classifier's loss).
        angle: >= 0, weight of `rkd_angle_loss` (paper: 2, or 50).

    Returns:
        () >= 0, the weighted sum. The two losses say how the published numbers convert.

    Raises:
        ValueError: shapes do not match; fewer than 3 rows; a weight below 0.
    """
    _check.at_least(0, distance=distance, angle=angle)
    ours, theirs = _squares_of(student, teacher, rows=3)
    loss = distance * _distance_term(ours, theirs)
    return loss + angle * _angle_term(ours, theirs) if angle else loss


def rkd_distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber of the student's distances less the teacher's, each over its mean in the batch.

    Neither moving, rotating nor scaling of either side changes it. The gradient runs through the
    student's mean distance too. Memory is O(B (B + D)), arithmetic that of `distances`.

    Args:
        student: (B, D_S), B >= 2; not normalised in the paper.
        teacher: (B, D_T), row i of the image of row i of `student`; gets no gradient. The paper
            normalises it where it retrieves.

    Returns:
        () mean over the pairs of distinct rows, >= 0. The authors' code divides by B^2: it is
        (B - 1) / B of this. Two rows at distance 0 do not pull or push each other; where all are
        equal, all distances are 0.

    Raises:
        ValueError: shapes do not match; fewer than 2 rows.

    Deviations: as the equation has it, the mean distance is over all pairs of distinct rows; the
    authors' code leaves out those at distance 0.
    """
    return _distance_term(*_squares_of(student, teacher, rows=2))


def rkd_angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber of the cosine at each row between two others, student's less teacher's.

    Neither moving, rotating nor scaling of either side changes it. Memory is O(B (B + D)): neither
    all differences nor all triples are held. The arithmetic is that of `distances`.

    Args:
        student: (B, D_S), B >= 3; not normalised in the paper.
        teacher: (B, D_T), row i of the image of row i of `student`; gets no gradient.

    Returns:
        () mean over the ordered triples of distinct rows, in [0, 1.5]. The authors' code divides by
        B^3, though its other cosines are 0 or 1 on both sides: it is (B - 1) (B - 2) / B^2 of this.
        Where two rows of a triple are one, the cosine at either is 0, without gradient.

    Raises:
        ValueError: shapes do not match; fewer than 3 rows.
    """
    return _angle_term(*_squares_of(student, teacher, rows=3))


def _squares_of(student: Tensor, teacher: Tensor, *, rows: int) -> tuple[Tensor, Tensor]:
    """Check the arguments; return the squared distances of each side, (B, B)."""
    _check.matrix(student=student, teacher=teacher)
    _check.same_rows(student=student, teacher=teacher)
    _check.at_least(rows, rows=len(student))
    return _squares(student), _squares(teacher.detach())


def _squares(embeddings: Tensor) -> Tensor:
    """Return squared distances, exactly 0 between rows that float32 cannot tell apart."""
    rows = centred(embeddings, normalise=False)
    wide = widened(rows)
    squares = pair_squares(wide, wide, rows.dtype)
    norms = wide.detach().square().sum(1).to(rows.dtype)
    # Of a row and its copy rounding leaves something, by which an angle would be divided.
    least = (2 * torch.finfo(torch.float32).eps) ** 2 * (norms[:, None] + norms)
    return squares.masked_fill(squares <= least, 0)  # NaN is not, and stays


def _distance_term(student: Tensor, teacher: Tensor) -> Tensor:
    pairs = len(student) * (len(student) - 1)
    ours, theirs = (_over_mean(root(squares), pairs) for squares in (student, teacher))
    return F.smooth_l1_loss(ours, theirs, reduction="sum") / pairs


def _over_mean(distances: Tensor, pairs: int) -> Tensor:
    mean = distances.sum() / pairs
    return distances / mean.masked_fill(mean <= 0, 1)


def _angle_term(student: Tensor, teacher: Tensor) -> Tensor:
    count = len(student)
    return angle_gaps(student, teacher) / (count * (count - 1) * (count - 2))
