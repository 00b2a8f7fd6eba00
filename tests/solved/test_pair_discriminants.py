"""With pairs: half of what alike images differ by."""

import pytest
import torch

from lookalike.errors import DataError
from lookalike.solved.class_discriminants import ClassDiscriminants
from lookalike.solved.pair_discriminants import PairDiscriminants

SMALL = {"filters": 6, "patches": (4,), "patch_count": 2000}


def test_within_is_the_mean_outer_product_of_half_differences(few):
    few.pairs = torch.tensor([[0, 4], [9, 1], [30, 2]])
    method = PairDiscriminants(**SMALL)
    network = method.features.solve(few).backbone
    with torch.no_grad():
        rows = network(few.pictures).double()
    apart = rows[few.pairs[:, 0]] - rows[few.pairs[:, 1]]
    assert torch.allclose(method.within(few, network), apart.T @ apart / 6, atol=1e-6)


def test_all_pairs_within_classes_tell_what_labels_tell(few):
    """Over all ordered pairs of a class of n, half the squared difference averages to n / (n - 1)
    times the covariance within it.
    """
    same = few.labels[:, None] == few.labels[None, :]
    few.pairs = torch.nonzero(same.triu(diagonal=1))
    method = PairDiscriminants(**SMALL)
    network = method.features.solve(few).backbone
    by_labels = ClassDiscriminants(**SMALL).within(few, network)
    assert torch.allclose(method.within(few, network), by_labels * 10 / 9, atol=1e-6)


def test_without_pairs_it_says_what_to_do(few):
    with pytest.raises(DataError, match="--pairs FILE"):
        PairDiscriminants(**SMALL).solve(few)
