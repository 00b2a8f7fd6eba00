"""One vector for each image of the data set. Wu et al. 2018, arXiv:1805.01978, section 3.1."""

import math

import torch
from torch import Tensor, nn

from lookalike import _check
from lookalike.pairwise.similarity import unit_rows


class MemoryBank(nn.Module):
    """What the network last said of each image, by the image's position in its data set.

    Args:
        size: n, images.
        dim: D, width of a vector.

    Attributes:
        rows: (n, D); at first uniform in +-sqrt(3 / D), so of norm 1 in expectation; of norm 1 once
            an image has been seen.

    Raises:
        ValueError: size or dim is below 1.
    """

    rows: Tensor

    def __init__(self, size: int, dim: int) -> None:
        _check.at_least(1, size=size, dim=dim)
        super().__init__()
        bound = math.sqrt(3 / dim)
        self.register_buffer("rows", torch.empty(size, dim).uniform_(-bound, bound))

    @torch.no_grad()
    def update(self, index: Tensor, vectors: Tensor, *, momentum: float) -> None:
        """Move some rows towards new vectors, and back to norm 1; the others stay as they are.

        Args:
            index: (B,) int64, the images' positions.
            vectors: (B, D) unit vectors.
            momentum: share of a row that stays, in [0, 1).
        """
        rows = momentum * self.rows[index] + (1 - momentum) * vectors
        self.rows[index] = unit_rows(rows.to(self.rows.dtype))
