"""From a layer of a student to one of its teacher: what feature losses compare across."""

from __future__ import annotations

from torch import nn


def adapt(student: tuple[int, ...], teacher: tuple[int, ...]) -> nn.Module:
    """Return a network from a student's layer to the shape of its teacher's.

    Vectors go through a linear layer; maps through a convolution that also meets the teacher's
    size, its stride, padding or transposition chosen for that, then batch normalisation. There is
    no ReLU, beyond which a student could not follow a teacher below zero.

    Args:
        student: (D,) or (C, H, W) of the student's layer.
        teacher: likewise of the teacher's.

    Raises:
        ValueError: one is a vector and the other a map, or their sizes cannot be met.
    """
    if len(student) == len(teacher) == 1:
        return nn.Linear(student[0], teacher[0])
    if len(student) != 3 or len(teacher) != 3:
        raise ValueError(
            f"layers must be two vectors (D,) or two maps (C, H, W), got {student} of the student "
            f"and {teacher} of the teacher"
        )
    return nn.Sequential(_convolution(student, teacher), nn.BatchNorm2d(teacher[0]))


def _convolution(student: tuple[int, ...], teacher: tuple[int, ...]) -> nn.Module:
    (before, height, width), (after, high, wide) = student, teacher
    if (height, width) == (high, wide):
        return nn.Conv2d(before, after, 1, bias=False)
    if height % high == 0 and width % wide == 0:
        down = (height // high, width // wide)
        return nn.Conv2d(before, after, down, stride=down, bias=False)
    if high % height == 0 and wide % width == 0:
        up = (high // height, wide // width)
        return nn.ConvTranspose2d(before, after, up, stride=up, bias=False)
    if height > high and width > wide:
        return nn.Conv2d(before, after, (1 + height - high, 1 + width - wide), bias=False)
    raise ValueError(
        f"a map of {height} x {width} cannot be made one of {high} x {wide}: name layers whose "
        "sizes divide one another"
    )
