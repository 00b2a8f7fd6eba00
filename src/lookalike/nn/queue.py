"""The last keys that were seen, first in, first out. He et al. 2019, arXiv:1911.05722, sec. 3.1."""

import torch
from torch import Tensor, nn

from lookalike import _check
from lookalike.pairwise.similarity import unit_rows


class Queue(nn.Module):
    """A ring buffer of unit vectors; batches of any size go in, and nothing is moved or copied.

    Args:
        size: K, keys that it holds.
        dim: D, width of a key.

    Attributes:
        rows: (K, D), random directions until keys have come in.
        place: () int64, where the next key goes.

    Raises:
        ValueError: size or dim is below 1.
    """

    rows: Tensor
    place: Tensor

    def __init__(self, size: int, dim: int) -> None:
        _check.at_least(1, size=size, dim=dim)
        super().__init__()
        self.register_buffer("rows", unit_rows(torch.randn(size, dim)))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Write keys over the oldest ones.

        Args:
            keys: (B, D) unit vectors; of more than K the last K stay.
        """
        size = len(self.rows)
        kept = keys[-size:]
        start = self.place + len(keys) - len(kept)
        places = (start + torch.arange(len(kept), device=keys.device)) % size
        self.rows.index_copy_(0, places, kept.to(self.rows.dtype))
        self.place.add_(len(keys)).remainder_(size)
