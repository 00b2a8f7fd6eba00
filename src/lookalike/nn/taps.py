"""What a network makes of images on the way, at layers that are named."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

LISTED = 30
"""Layers that a message names one by one."""


class Taps:
    """Listens to layers of a network, whose results stay as they are.

    Args:
        network: what the layers are part of.
        layers: names of its modules, as `named_modules` has them; "" is the network itself.

    Raises:
        ValueError: it has no such layer.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        known = dict(network.named_modules())
        for name in layers:
            if name not in known:
                near = difflib.get_close_matches(name, list(known), n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise ValueError(f"there is no layer {name!r}.{hint}  ({_tell(list(known))})")
        # Modules, and results kept in them: a copy of the network then has taps of its own.
        self._layers: list[Any] = [known[name] for name in layers]
        for layer in self._layers:
            layer.register_forward_hook(_keep)

    def take(self) -> list[Tensor]:
        """Return what the layers last returned, in order, and forget it."""
        results = [layer.last_result for layer in self._layers]
        for layer in self._layers:
            layer.last_result = None
        return results


def _tell(names: list[str]) -> str:
    """Return what layers there are; of many only those that are in no other."""
    named = [name for name in names if name]
    if len(named) <= LISTED:
        return f"all: {', '.join(named)}"
    return f"{', '.join(name for name in named if '.' not in name)}, and what is in them"


def _keep(module: Any, given: Any, result: Any) -> None:
    module.last_result = result


@torch.no_grad()
def layer_shapes(network: nn.Module, *, size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of what every layer makes of an image, without its batch, in order.

    Args:
        network: (B, 3, H, W) -> anything; put into evaluation mode for a moment.
        size: side of the picture to try it with.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, given: Any, result: Any) -> None:
            if isinstance(result, Tensor):
                shapes[name] = tuple(result.shape[1:])

        return hook

    hooks = [each.register_forward_hook(note(name)) for name, each in network.named_modules()]
    modes = {each: each.training for each in network.modules()}
    first = next(network.parameters(), torch.zeros(()))
    try:
        network.eval()
        network(torch.zeros(2, 3, size, size, device=first.device, dtype=first.dtype))
    finally:
        for hook in hooks:
            hook.remove()
        for each, mode in modes.items():
            each.training = mode
    return shapes


def last_map(shapes: dict[str, tuple[int, ...]]) -> str:
    """Return the name of the layer that makes the last map, (C, H, W).

    Raises:
        ValueError: no layer makes one.
    """
    maps = [name for name, shape in shapes.items() if len(shape) == 3]
    if not maps:
        raise ValueError("no layer makes a map (C, H, W): this network shows vectors alone")
    return maps[-1]
