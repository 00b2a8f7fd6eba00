"""Angles of all triples of rows, teacher's beside student's; those at a few rows at a time."""

import math
from typing import Any

import torch
from torch import Tensor

from lookalike.pairwise import distances


def angle_gaps(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the sum of Huber(student's cosine - teacher's) over all triples of distinct rows.

    By the law of cosines the angle at row i between rows j and k has the cosine
    (s_ij + s_ik - s_jk) / (2 d_ij d_ik), with s the squared distances and d their roots. So neither
    the N x N differences nor the N matrices of their products are held. Value and gradient are
    worked out together, in one pass. Memory is O(N^2).

    Args:
        student: (N, N) squared distances, symmetric, exactly 0 where two rows are one.
        teacher: (N, N), of another width or not; gets no gradient.

    Returns:
        () sum over the N (N - 1) (N - 2) ordered triples of x^2 / 2, or |x| - 1 / 2 where |x| > 1.
        A cosine is 0 where one of its sides has no length, and such a side gets no gradient. The
        gradient cannot be differentiated again.
    """
    wanted = student.requires_grad and torch.is_grad_enabled()
    total, _ = torch.ops.lookalike.angle_gaps(student, teacher.to(student.dtype), wanted)
    result: Tensor = total
    return result


torch.library.define(
    "lookalike::angle_gaps", "(Tensor student, Tensor teacher, bool wanted) -> (Tensor, Tensor)"
)


@torch.library.impl("lookalike::angle_gaps", "default")
def _gaps(student: Tensor, teacher: Tensor, wanted: bool) -> tuple[Tensor, Tensor]:
    """Return the sum, and its gradient in the student's squares, (0,) if that is not wanted."""
    count = len(student)
    area = distances.CPU_TILE if student.device.type == "cpu" else distances.DEVICE_TILE
    height = math.ceil(area / count**2)
    inverse, others = _inverse(student), _inverse(teacher)
    total = student.new_zeros(())
    gradient = torch.zeros_like(student) if wanted else student.new_zeros(0)
    for start in range(0, count, height):
        i = slice(start, start + height)
        cosines = _cosines(student, inverse, i)  # (I, N, N)
        gaps = cosines - _cosines(teacher, others, i)
        gaps.diagonal(dim1=1, dim2=2).zero_()  # j = k is no angle; j = i has cosine 0 already
        slopes = gaps.clamp(-1, 1)
        total += torch.dot(slopes.view(-1), gaps.sub_(slopes, alpha=0.5).view(-1))
        if wanted:
            # With P = slope / (2 d_ij d_ik): -P is what s_jk gets. Of s_ij, in the numerators of
            # (j, k) and (k, j), sum over k of 2 P; in the denominators, of slope * cosine / s_ij.
            lengths = cosines.mul_(slopes).sum(2) * inverse[i].square()
            pulls = slopes.mul_(inverse[i, :, None]).mul_(inverse[i, None, :] / 2)
            gradient -= pulls.sum(0)
            gradient[i] += 2 * pulls.sum(2) - lengths
    return total, gradient


def _inverse(squares: Tensor) -> Tensor:
    """Return 1 / d, 0 where d is 0; NaN stays NaN."""
    away = ~(squares <= 0)  # true of NaN, which must show
    return squares.where(away, 1).rsqrt().where(away, 0)


def _cosines(squares: Tensor, inverse: Tensor, i: slice) -> Tensor:
    """Return the cosines at rows I, (I, N, N)."""
    sides = squares[i]
    products = sides[:, :, None] - squares
    products += sides[:, None, :]
    return products.mul_(inverse[i, :, None]).mul_(inverse[i, None, :] / 2)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1])


def _differentiate(
    ctx: Any, gradient: Tensor | None, again: Tensor | None
) -> tuple[Tensor | None, None, None]:
    if again is not None:
        raise RuntimeError("the gradient of angle_gaps cannot be differentiated again")
    (slope,) = ctx.saved_tensors
    return None if gradient is None else gradient * slope, None, None


# What a graph must know without computing: the shapes.
def _like(student: Tensor, teacher: Tensor, wanted: bool) -> tuple[Tensor, Tensor]:
    return student.new_empty(()), student.new_empty(student.shape if wanted else 0)


torch.library.register_fake("lookalike::angle_gaps", _like)
torch.library.register_autograd("lookalike::angle_gaps", _differentiate, setup_context=_save)
