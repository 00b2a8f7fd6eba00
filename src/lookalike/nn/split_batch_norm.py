"""Batch normalisation in groups, as if each were on a GPU of its own.

What MoCo (He et al. 2019, arXiv:1911.05722, section 3.3) gets from many GPUs, on one: a query and
its key must not see the same statistics, or these give away which two belong together.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lookalike import _check
from lookalike.nn.gather import gather, world_size


def split_count(rows: int, splits: int) -> int:
    """Return into how many equal groups of at least two rows a batch is split: at most `splits`.

    Raises:
        ValueError: the batch cannot be split at all, though it should be.
    """
    _check.at_least(1, splits=splits)
    fitting = [count for count in range(1, splits + 1) if rows % count == 0 and rows // count > 1]
    best = max(fitting, default=1)
    if best == 1 < splits:
        raise ValueError(
            f"a batch of {rows} rows cannot be split into equal groups of at least two; choose "
            f"a batch size that is a multiple of {2 * splits}, or splits 1"
        )
    return best


def shuffle(images: Tensor, splits: int) -> Tensor:
    """Return this process's share of the batch of all processes, in another order.

    Rows that shared a group of `SplitBatchNorm` are spread over all groups. The order is fixed: a
    batch is in random order anyway, and no other order keeps fewer rows together.

    Args:
        images: (B, ...), of one shape on all processes.
        splits: groups over all processes.

    Returns:
        (B, ...), without gradient.
    """
    every = gather(images.detach())
    count = split_count(len(every), splits)
    return _own(every.view(count, -1, *every.shape[1:]).transpose(0, 1).flatten(0, 1))


def unshuffle(rows: Tensor, splits: int) -> Tensor:
    """Return what `shuffle` took away: the rows of this process's own images, in their order."""
    every = gather(rows.detach())
    count = split_count(len(every), splits)
    return _own(every.view(-1, count, *every.shape[1:]).transpose(0, 1).flatten(0, 1))


def _own(rows: Tensor) -> Tensor:
    return rows.chunk(world_size())[dist.get_rank()] if world_size() > 1 else rows


def split_batch_norm(module: nn.Module, splits: int) -> nn.Module:
    """Make every batch normalisation inside a module a split one, and return the module.

    Parameters, buffers and names stay the very same, and so does everything where splits is 1.
    """
    if splits > 1:
        for part in module.modules():
            if type(part) in {nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d}:
                part.__class__ = SplitBatchNorm
            elif type(part).__name__ == "BatchNormAct2d":  # timm need not be imported to ask
                part.__class__ = SplitBatchNormAct
            if isinstance(part, SplitBatchNorm):
                part.splits = splits
    return module


class SplitBatchNorm(_BatchNorm):
    """Normalises each group of rows of (B, C, ...) by its own statistics.

    Group j of S holds the rows n with n mod S = j. The running averages move by the mean over all
    groups, of all processes; evaluation is ordinary batch normalisation. Made by
    `split_batch_norm`.

    Attributes:
        splits: groups in a batch over all processes, which share them evenly; a batch that does
            not divide by it is split into as many as it does divide by, see `split_count`.
    """

    splits: int

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"input must be (B, C, ...), got shape {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised batch, (B, C, ...).

        Raises:
            ValueError: the batch cannot be split.
        """
        self._check_input_dim(input)
        if not self.training:
            return super().forward(input)
        splits = split_count(len(input), max(1, self.splits // world_size()))
        groups = input.view(
            -1, splits, *input.shape[1:]
        )  # (B / S, S, C, ...): a view in any layout
        values = groups.to(torch.promote_types(input.dtype, torch.float32))
        others = [0, *range(3, groups.ndim)]
        variance, mean = torch.var_mean(values, others, correction=0)  # (S, C)
        if self.track_running_stats:
            self._average(mean.detach(), variance.detach(), input[:, 0].numel() // splits)
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        shift = -mean * scale
        if self.bias is not None:
            shift = shift + self.bias
        shape = (1, *scale.shape, *[1] * (groups.ndim - 3))
        output = torch.addcmul(shift.view(shape), values, scale.view(shape))
        return output.flatten(0, 1).to(input.dtype)

    @torch.no_grad()
    def _average(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running averages by `momentum` to the mean over groups and processes."""
        averages: Any = self
        now = torch.stack([mean.mean(0), variance.mean(0) * (count / (count - 1))])
        if world_size() > 1:
            dist.all_reduce(now)
            now /= world_size()
        averages.num_batches_tracked += 1
        share = 1 / averages.num_batches_tracked if self.momentum is None else self.momentum
        averages.running_mean += share * (now[0] - averages.running_mean)
        averages.running_var += share * (now[1] - averages.running_var)


class SplitBatchNormAct(SplitBatchNorm):
    """The same, followed by the `drop` and `act` that timm keeps inside its BatchNormAct2d."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised and activated batch, (B, C, ...)."""
        output: Tensor = self.act(self.drop(super().forward(input)))
        return output
