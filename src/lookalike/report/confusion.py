"""A confusion matrix in an order that can be read: the classes with the lowest recall first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassRow:
    """One true class.

    Args:
        name: its name.
        images: how many were asked about.
        recall: share of them that were named right, in [0, 1]; none without images.
        taken_for: the class it is most often mistaken for; empty if there is none.
        mistakes: how often that happened.
    """

    name: str
    images: int
    recall: float | None
    taken_for: str
    mistakes: int


@dataclass(frozen=True)
class Cell:
    """A count above 0: `row` and `column` are places in the sorted order; share is of its row."""

    row: int
    column: int
    count: int
    share: float


@dataclass(frozen=True)
class Confusion:
    """The matrix, sorted by recall, and its rows in words.

    Args:
        classes: one row a true class, lowest recall first, those without images last.
        cells: the counts above 0, row by row.
        images: all images asked about.
        right: those on the diagonal.
    """

    classes: tuple[ClassRow, ...]
    cells: tuple[Cell, ...]
    images: int
    right: int


def sort_confusion(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Confusion:
    """Sort a matrix of counts, rows the true classes and columns the answers.

    Raises:
        ValueError: the counts are not a square of whole numbers of at least 0, one row a name.
    """
    matrix = np.array(counts)
    size = len(names)
    if matrix.shape != (size, size) or matrix.dtype.kind not in "iu" or size == 0:
        raise ValueError(f"confusion must be {size} x {size} whole numbers, got {matrix.shape}")
    if matrix.min() < 0:
        raise ValueError(f"confusion must hold counts of at least 0, got {matrix.min()}")
    images = matrix.sum(axis=1)
    right = matrix.diagonal()
    recall = np.where(images > 0, right / images.clip(1), np.inf)
    order = sorted(range(size), key=lambda place: (recall[place], str(names[place])))
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    classes = []
    for place in order:
        worst = int(wrong[place].argmax())
        mistakes = int(wrong[place, worst])
        classes.append(
            ClassRow(
                name=str(names[place]),
                images=int(images[place]),
                recall=float(recall[place]) if images[place] else None,
                taken_for=str(names[worst]) if mistakes else "",
                mistakes=mistakes,
            )
        )
    ordered = matrix[np.ix_(order, order)]
    cells = [
        Cell(row, column, int(ordered[row, column]), ordered[row, column] / ordered[row].sum())
        for row, column in np.argwhere(ordered > 0).tolist()
    ]
    return Confusion(tuple(classes), tuple(cells), int(matrix.sum()), int(right.sum()))
