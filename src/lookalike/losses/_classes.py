"""Who shares a class with whom, in shapes that do not depend on the labels."""

import torch
from torch import Tensor


def classes_of(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return a number for each row's class, and how many rows the class has.

    Args:
        labels: (N,) integers, any.

    Returns:
        Where the class begins among the sorted labels, (N,) in [0, N - 1] and so a row of an
        (N, ...) tensor; and the size of the class, (N,) >= 1. Both int64.
    """
    ordered = labels.sort().values
    first = torch.searchsorted(ordered, labels)
    return first, torch.searchsorted(ordered, labels, right=True) - first


def pairs_of(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return disjoint pairs of one class: its first row with its second, third with fourth, ...

    Args:
        labels: (N,) integers, any.

    Returns:
        (N // 2,) positions of the first rows of the pairs, the same of the second ones, and whether
        there is such a pair at all: where few rows have a partner, the last pairs are none.
    """
    order = labels.argsort(stable=True)
    ordered = labels[order]
    within = torch.arange(len(labels), device=labels.device) - torch.searchsorted(ordered, ordered)
    leads = (within[:-1] % 2 == 0) & (ordered[1:] == ordered[:-1])
    first = leads.to(torch.uint8).argsort(descending=True, stable=True)[: len(labels) // 2]
    return order[first], order[first + 1], leads[first]
