"""Labelled embeddings of earlier batches. Wang et al. 2020, arXiv:1912.06798, section 3.2."""

import torch
from torch import Tensor, nn

from lookalike import _check


class CrossBatchMemory(nn.Module):
    """A ring buffer of labelled embeddings; nothing is moved or copied.

    Args:
        size: M, embeddings that it holds.
        dim: D, width of an embedding.

    Attributes:
        rows: (M, D), copies of the first batch until as many others have come in; before it, 0.
        labels: (M,) int64; before the first batch no two alike, and none that an image has.
        place: () int64, where the next embedding goes.
        empty: () bool, whether no batch has come in.

    Raises:
        ValueError: size or dim is below 1.
    """

    rows: Tensor
    labels: Tensor
    place: Tensor
    empty: Tensor

    def __init__(self, size: int, dim: int) -> None:
        _check.at_least(1, size=size, dim=dim)
        super().__init__()
        self.register_buffer("rows", torch.zeros(size, dim))
        self.register_buffer("labels", -2 - torch.arange(size))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))
        self.register_buffer("empty", torch.ones((), dtype=torch.bool))

    @torch.no_grad()
    def enqueue(self, embeddings: Tensor, labels: Tensor) -> None:
        """Write embeddings over the oldest ones.

        Args:
            embeddings: (B, D); of more than M the last M stay.
            labels: (B,) int64.
        """
        size, kept = len(self.rows), embeddings[-len(self.rows) :].to(self.rows.dtype)
        labels = labels[-size:]
        every = torch.arange(size, device=kept.device)
        copies = every % len(kept)  # asks no device whether this is the first batch
        self.rows.copy_(torch.where(self.empty, kept[copies], self.rows))
        self.labels.copy_(torch.where(self.empty, labels[copies], self.labels))
        places = (self.place + every[: len(kept)]) % size
        self.rows.index_copy_(0, places, kept)
        self.labels.index_copy_(0, places, labels)
        self.place.add_(len(kept)).remainder_(size)
        self.empty.fill_(False)
