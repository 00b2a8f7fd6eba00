"""An encoder whose network is compiled for batches of one size, its weights folded into it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from lookalike.errors import LookalikeError
from lookalike.inference import Encoder


def compile_encoder(encoder: Encoder, *, batch_size: int) -> Encoder:
    """Return the encoder with its network compiled; the first batch takes about a minute.

    Args:
        encoder: whose weights do not change any more; it is left as it is.
        batch_size: of every batch; smaller ones are filled up.
    """
    # Constant weights let batch normalisation and changes of precision and layout happen once.
    network = torch.compile(encoder.backbone, dynamic=False, options={"freezing": True})
    again = copy.copy(encoder)
    again.compiled = _Filled(network, batch_size)
    return again


class _Filled:
    """Fills batches up to one size, so that the network is compiled once."""

    def __init__(self, network: Any, size: int) -> None:
        self.network, self.size, self.compiled = network, size, False

    def __call__(self, pictures: Tensor) -> Tensor:
        count = len(pictures)
        if count < self.size:
            blank = pictures.new_zeros(self.size - count, *pictures.shape[1:])
            whole = torch.cat([pictures, blank])
            pictures = whole.contiguous(memory_format=torch.channels_last)
        try:
            vectors: Tensor = self.network(pictures)
        except Exception as problem:
            if self.compiled:
                raise
            raise LookalikeError(
                f"the network cannot be compiled here: {str(problem).strip().splitlines()[0]}\n"
                "  fix: leave out --compile"
            ) from problem
        self.compiled = True
        return vectors[:count]
