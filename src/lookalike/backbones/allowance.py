"""A network built within the memory that its weights call for, whatever its arguments ask."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lookalike.errors import UsageError

FREE: Final = 2**27
"""Numbers that any network may make: tables of positions, masks and what is drawn on the way."""

TIMES: Final = 8
"""How often it may make as many numbers as its weights hold."""


class Allowance(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside, tensors of so many numbers may be made in all; the next is refused unmade.

    Args:
        shapes: of the weights that the network is built for.
    """

    def __init__(self, shapes: Iterable[Sequence[int]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._held = sum(map(math.prod, shapes))
        self._left = FREE + TIMES * self._held

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do what torch is about to do, if it is allowed."""
        kwargs = dict(kwargs or {})
        if any(isinstance(each, Tensor) for each in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        if any(each.name == "device" for each in func._schema.arguments):
            self._take(func(*args, **{**kwargs, "device": "meta", "pin_memory": None}))
        return func(*args, **kwargs)

    def _take(self, planned: object) -> None:
        self._left -= sum(each.numel() for each in tree_leaves(planned) if isinstance(each, Tensor))
        if self._left < 0:
            raise UsageError(
                f"the network that is asked for is far larger than its weights, of {self._held:,} "
                "numbers"
            )
