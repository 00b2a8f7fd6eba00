"""Discriminants of classes: Fisher 1936, *The Use of Multiple Measurements*; Rao 1948, section 4.

The algebra of view discriminants, with labels to say what is alike: W is the covariance within
classes. Regularised as Friedman 1989, *Regularized Discriminant Analysis*, equation 18.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from lookalike.solved.base import Pictures
from lookalike.solved.view_discriminants import ViewDiscriminants, describe, outer


class ClassDiscriminants(ViewDiscriminants):
    """Directions in which classes differ, and images of one class do not.

    Args:
        dim: see `view_discriminants`.
        power: see `view_discriminants`.
        ridge: see `view_discriminants`.
        dictionary: see `view_discriminants`.

    Raises:
        ValueError: an argument is out of its range.
    """

    needs_labels: ClassVar[bool] = True

    def within(self, pictures: Pictures, network: nn.Module) -> Tensor:
        """Return the (D, D) covariance of features within classes, of all that have a label."""
        dim: int = network.dim  # type: ignore[assignment]
        products = torch.zeros(dim, dim, dtype=torch.float64)
        sums = torch.zeros(pictures.classes, dim, dtype=torch.float64)
        counts = torch.zeros(pictures.classes, dtype=torch.float64)
        for block in pictures.blocks("classes"):
            known = block.labels >= 0
            rows, labels = describe(network, block.pictures)[known], block.labels[known].cpu()
            products += outer(rows)
            sums.index_add_(0, labels, rows.double().cpu())
            counts.index_add_(0, labels, torch.ones(len(labels), dtype=torch.float64))
        products, sums, counts = (pictures.total(each) for each in (products, sums, counts))
        between = sums / counts.clamp(min=1).sqrt()[:, None]
        return (products - between.T @ between) / counts.sum()
