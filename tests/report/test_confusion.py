"""The confusion matrix: sorted, but the same counts."""

import numpy as np
import pytest

from lookalike.report.confusion import sort_confusion

COUNTS = [[8, 2, 0], [0, 0, 0], [1, 5, 4]]


def test_rows_and_columns_are_sorted_by_recall_together() -> None:
    confusion = sort_confusion(COUNTS, ["easy", "empty", "hard"])
    assert [row.name for row in confusion.classes] == ["hard", "easy", "empty"]
    assert [row.recall for row in confusion.classes] == [0.4, 0.8, None]
    assert [row.images for row in confusion.classes] == [10, 10, 0]
    assert (confusion.right, confusion.images) == (12, 20)
    restored = np.zeros((3, 3), np.int64)
    order = [2, 0, 1]
    for cell in confusion.cells:
        restored[order[cell.row], order[cell.column]] = cell.count
        assert cell.share == cell.count / confusion.classes[cell.row].images
    assert restored.tolist() == COUNTS


def test_the_commonest_mistake_is_named() -> None:
    hard, easy, empty = sort_confusion(COUNTS, ["easy", "empty", "hard"]).classes
    assert (hard.taken_for, hard.mistakes) == ("empty", 5)
    assert (easy.taken_for, easy.mistakes) == ("empty", 2)
    assert (empty.taken_for, empty.mistakes) == ("", 0)


@pytest.mark.parametrize("counts", [[[1, 2]], [[1.5]], [[-1]], [[1], [2, 3]], "no", [["1"]]])
def test_what_is_no_matrix_of_counts_is_refused(counts: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"confusion|inhomogeneous"):
        sort_confusion(counts, ["a"])
