"""Gather rows from all processes, with gradient, so that a loss sees the global batch."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def gather(tensor: Tensor) -> Tensor:
    """Return the rows of every process, in rank order.

    If each process then computes the same loss from them, and the parameters' gradients are
    averaged over processes (as DistributedDataParallel does), they are the gradients of one process
    with the whole batch.

    Args:
        tensor: (B, ...), of one shape on all W processes, which all must call.

    Returns:
        (W * B, ...), or the tensor itself where there is one process. A row's gradient is the sum
        of those that it gets on each process.
    """
    if world_size() == 1:
        return tensor
    gathered: Tensor = _Gather.apply(tensor)
    return gathered


def world_size() -> int:
    """Return the number of processes; 1 unless they have been joined."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.count = tensor.shape[0]
        gathered = tensor.new_empty(world_size() * tensor.shape[0], *tensor.shape[1:])
        dist.all_gather_into_tensor(gathered, tensor.contiguous())
        return gathered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.narrow(0, dist.get_rank() * ctx.count, ctx.count)
