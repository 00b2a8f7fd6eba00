"""One process or many: who am I, and what do all of us agree on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed as dist

from lookalike.errors import UsageError


class World(NamedTuple):
    """The processes of a run.

    rank: this process, in [0, size).
    size: how many there are.
    device: where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return each flag as true if it is true on any process; all processes must call."""
        if self.size == 1:
            return flags
        raised = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(raised, op=dist.ReduceOp.MAX, group=_signals)
        return tuple(bool(flag) for flag in raised.tolist())

    def wait(self) -> None:
        """Return once all processes have come here."""
        if self.size > 1:
            dist.barrier(group=_signals)

    def collect(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return (size, ...) of every process's equally shaped CPU tensor, in rank order."""
        if self.size == 1:
            return tensor[None]
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor, group=_signals)
        return torch.stack(parts)


_signals: dist.ProcessGroup | None = None  # a gloo group: flags travel without touching a GPU


@contextmanager
def world(device: str) -> Iterator[World]:
    """Join the processes that torchrun started, or be the only one; leave at the end.

    Args:
        device: "auto", or a device as torch names it.

    Raises:
        UsageError: the device is not there.
    """
    global _signals  # noqa: PLW0603  one process belongs to one world
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    chosen = _device(device, local)
    if size == 1:
        yield World(0, 1, chosen)
        return
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(minutes=10))
    group = dist.new_group(backend="gloo")
    _signals = group if isinstance(group, dist.ProcessGroup) else None  # else: not one of it
    try:
        yield World(dist.get_rank(), size, chosen)
    finally:
        _signals = None
        dist.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as problem:
        raise UsageError(f"--device {name} is no device; try cpu or cuda") from problem
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise UsageError("--device cuda: torch sees no GPU here\n  fix: --device cpu")
        device = torch.device("cuda", local_rank if device.index is None else device.index)
        torch.cuda.set_device(device)
    return device
