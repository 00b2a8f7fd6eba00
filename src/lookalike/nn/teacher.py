"""A network that teaches: it is asked, never trained, and part of no checkpoint."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Teacher(nn.Module):
    """A frozen network in evaluation mode, whatever the mode of what it stands in.

    It has no parameters, buffers or children that anybody sees: optimizers, state_dict,
    DistributedDataParallel and conversions of batch normalisation pass it over. It moves with
    `.to`.

    Args:
        network: (B, 3, H, W) images -> anything; used, not copied, and frozen.
        size: side of the pictures that it was trained on.
        name: what to call it.
    """

    def __init__(self, network: nn.Module, *, size: int, name: str = "the teacher") -> None:
        super().__init__()
        self._network = (network.eval().requires_grad_(False),)  # a tuple: no child
        self.size = size
        self.name = name

    @property
    def network(self) -> nn.Module:
        """The network itself."""
        return self._network[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self.network._apply(fn, recurse)
        return super()._apply(fn, recurse)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Any:
        """Return what the network says of (B, 3, H, W) images, without gradient."""
        return self.network(images)
