"""LARS. You et al. 2017, arXiv:1708.03888, as SimCLR runs it (arXiv:2002.05709, appendix B.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from lookalike import _check


class LARS(Optimizer):
    """Momentum whose rate, tensor by tensor, follows the size of the weights.

    For a tensor p with gradient g, each step does

        g = g + weight_decay * p
        trust = trust_coefficient * |p| / |g|, or 1 where either norm is 0
        momentum_buffer = momentum * momentum_buffer + lr * trust * g
        p = p - momentum_buffer

    The learning rate goes into the buffer ("classic momentum"), so one that changes does not
    rescale what was gathered before.

    Args:
        params: tensors, or groups of tensors; a group may set each option for itself, and may
            say `adapt: False`, which makes its trust 1.
        lr: learning rate, >= 0.
        momentum: share of the buffer that stays, in [0, 1].
        weight_decay: >= 0; pulls weights to 0, through the gradient.
        trust_coefficient: > 0; a step's length over the weights' length, at a rate of 1.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
    ) -> None:
        _check.at_least(0, lr=lr, weight_decay=weight_decay)
        _check.fraction(momentum=momentum)
        _check.positive(trust_coefficient=trust_coefficient)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "adapt": True,
        }
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step along the gradients, without waiting for the device.

        Returns:
            What `closure`, called first to make the gradients, returned; None without it.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        parameters = [p for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        gradients = [p.grad for p in parameters]
        if group["weight_decay"]:
            decay = group["weight_decay"]
            gradients = list(torch._foreach_add(gradients, parameters, alpha=decay))
        if group["adapt"]:
            rates = group["lr"] * _trust(parameters, gradients, group["trust_coefficient"])
            moves = torch._foreach_mul(gradients, list(rates.unbind()))
        else:
            moves = torch._foreach_mul(gradients, group["lr"])
        buffers = [self._buffer(p) for p in parameters]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, moves)
        torch._foreach_sub_(parameters, buffers)

    def _buffer(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def _trust(parameters: list[Tensor], gradients: list[Tensor], coefficient: float) -> Tensor:
    """Return (P,) the trust ratio of each of P tensors."""
    lengths = torch.stack(torch._foreach_norm(parameters))  # (P,)
    steepness = torch.stack(torch._foreach_norm(gradients))  # (P,)
    known = (lengths > 0) & (steepness > 0)
    return torch.where(known, coefficient * lengths / steepness, 1.0)
