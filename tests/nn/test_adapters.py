"""Adapters: shapes that are met, and those that cannot be."""

import pytest
import torch

from lookalike.nn.adapters import adapt


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ((8,), (5,)),
        ((4, 8, 8), (6, 8, 8)),
        ((4, 8, 8), (6, 4, 4)),
        ((4, 4, 4), (6, 8, 8)),
        ((4, 7, 6), (6, 5, 4)),
    ],
)
def test_what_comes_out_has_the_teachers_shape(student, teacher):
    assert adapt(student, teacher)(torch.rand(2, *student)).shape == (2, *teacher)


@pytest.mark.parametrize(
    ("student", "teacher", "told"),
    [((8,), (4, 2, 2), "two vectors"), ((4, 5, 5), (4, 7, 7), "cannot be made")],
)
def test_what_cannot_be_met_is_refused(student, teacher, told):
    with pytest.raises(ValueError, match=told):
        adapt(student, teacher)
