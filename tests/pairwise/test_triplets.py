"""The triplet engine's counts, its two ways and its memory; the sums are in losses/test_triplet."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lookalike.pairwise import distances, triplets
from lookalike.pairwise.triplets import triplet_sums


def batch(seed: int, rows: int, classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(rows, 4, generator=generator)
    return vectors, torch.randint(classes, (rows,), generator=generator)


@pytest.mark.parametrize("few", [0, 64], ids=["by sort", "by positives"])
@pytest.mark.parametrize("squared", [False, True])
def test_counts_of_all_triplets_with_ties(
    squared: bool, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On whole numbers many gaps are exactly the margin, and those terms are 0: not active."""
    monkeypatch.setattr(triplets, "FEW", few)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(4, (30, 1), generator=generator).float()
    labels = torch.randint(5, (30,), generator=generator)
    d = (rows - rows.T).abs() ** (2 if squared else 1)
    same = labels[:, None] == labels
    positive = same & ~torch.eye(30, dtype=torch.bool)
    triplet = positive[:, :, None] & ~same[:, None, :]  # (a, p, n)
    terms = (d[:, :, None] - d[:, None, :] + 1).relu() * triplet
    total, active, count = triplet_sums(
        rows, labels, mining="batch_all", margin=1.0, squared=squared
    )
    assert (total.item(), active.item()) == (terms.sum().item(), terms.count_nonzero().item())
    assert count.item() == triplet.sum().item()


@pytest.mark.parametrize("mining", ["batch_all", "semi_hard"])
def test_the_two_ways_agree(mining: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = batch(1, rows=200, classes=8)
    rows.requires_grad_()
    results = []
    for few in (0, 64):
        monkeypatch.setattr(triplets, "FEW", few)
        sums = triplet_sums(rows, labels, mining=mining, margin=0.4, squared=False)
        results.append((*sums, *torch.autograd.grad(sums[0], rows)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("mining", ["batch_hard", "batch_all", "semi_hard", "random"])
def test_no_tensor_is_larger_than_rows_or_a_tile(
    mining: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Largest(TorchDispatchMode):
        """Remembers the most numbers that an operator returned."""

        most = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for each in result if isinstance(result, tuple) else (result,):
                if isinstance(each, Tensor):
                    self.most = max(self.most, each.numel())
            return result

    monkeypatch.setattr(distances, "CPU_TILE", 1600)
    rows, labels = batch(2, rows=200, classes=20)
    draws = torch.rand(200)
    with Largest() as largest:  # inside the operator, which is opaque from without
        triplets._sums(rows, labels, draws, mining, 0.4, False, True)
    assert largest.most == 1600 < 200**2


def test_labels_may_be_a_column_of_a_table() -> None:
    rows, labels = batch(4, rows=20, classes=4)
    column = torch.stack([labels, labels], dim=1)[:, 0]
    assert not column.is_contiguous()
    sums = [
        triplet_sums(rows, each, mining="batch_all", margin=1.0, squared=False)
        for each in (labels, column)
    ]
    assert sums[0] == sums[1]


def test_what_is_no_mining_is_refused() -> None:
    rows, labels = batch(3, rows=4, classes=2)
    with pytest.raises(ValueError, match="no such mining with margin None: 'semi_hard'"):
        triplet_sums(rows, labels, mining="semi_hard", margin=None, squared=False)
