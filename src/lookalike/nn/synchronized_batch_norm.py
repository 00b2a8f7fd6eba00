"""Batch normalisation over the batches of all processes. Ioffe, Szegedy 2015, arXiv:1502.03167.

SimCLR (arXiv:2002.05709, section 2.1) needs it: statistics of one process's batch alone would give
away which views are partners.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from lookalike.nn.gather import world_size


class SynchronizedBatchNorm(_BatchNorm):
    """Normalises (B, C, ...) by the mean and variance over the batches of all processes.

    In all else it is `nn.BatchNorm1d` to `3d`: arguments, state, running averages, evaluation, and
    everything where there is one process. Works on any backend. Every process brings a batch of one
    shape. Statistics are float32, or float64 for float64 inputs.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"input must be (B, C, ...), got shape {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised batch, (B, C, ...)."""
        if world_size() == 1 or not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        output, mean, variance = _Normalise.apply(input, self.weight, self.bias, self.eps)
        if self.track_running_stats:
            count = world_size() * input[:, 0].numel()
            self._average(mean, variance * (count / (count - 1)))
        normalised: Tensor = output
        return normalised

    def _average(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running averages by `momentum`, or to the mean of all steps where it is None."""
        assert self.running_mean is not None  # noqa: S101  they are there where they are tracked
        assert self.running_var is not None  # noqa: S101
        assert self.num_batches_tracked is not None  # noqa: S101
        self.num_batches_tracked += 1
        share = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean += share * (mean - self.running_mean)
        self.running_var += share * (variance - self.running_var)


class SynchronizedBatchNormAct(SynchronizedBatchNorm):
    """The same, followed by the `drop` and `act` that timm keeps inside its BatchNormAct2d."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised and activated batch, (B, C, ...)."""
        output: Tensor = self.act(self.drop(super().forward(input)))
        return output


def synchronize_batch_norm(module: nn.Module) -> nn.Module:
    """Make every batch normalisation inside a module synchronised, and return the module.

    Converts `nn.BatchNorm1d` to `3d` and timm's BatchNormAct2d in place: parameters, buffers, hooks
    and names stay the very same. Other subclasses (one that splits the batch, say) mean something
    of their own and are left alone.
    """
    for part in module.modules():
        if type(part) in {nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d}:
            part.__class__ = SynchronizedBatchNorm  # it has the same state, and no more
        elif type(part).__name__ == "BatchNormAct2d":  # timm need not be imported to ask
            part.__class__ = SynchronizedBatchNormAct
    return module


class _Normalise(torch.autograd.Function):
    """(input - mean) / sqrt(variance + eps) * weight + bias, with gradients across processes."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        variance, mean = torch.var_mean(_raised(input), _all_but_channels(input), correction=0)
        local = torch.stack([mean, variance])  # (2, C)
        every = local.repeat(world_size(), 1)  # (W * 2, C), to be written over
        dist.all_gather_into_tensor(every, local)
        means, variances = every[::2], every[1::2]  # (W, C)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)  # within, and between processes
        ctx.save_for_backward(input, weight, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        output = F.batch_norm(input, mean, variance, weight, bias, training=False, eps=eps)
        return output, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, mean, variance = ctx.saved_tensors
        others = _all_but_channels(input)
        inverse = torch.rsqrt(variance + ctx.eps)  # (C,)

        def spread(channels: Tensor) -> Tensor:
            return channels.view(-1, *[1] * (input.ndim - 2))

        normalised = (_raised(input) - spread(mean)) * spread(inverse)
        raised = _raised(gradient)
        to_bias, to_weight = raised.sum(others), (raised * normalised).sum(others)  # (C,)
        both = torch.stack([to_bias, to_weight])  # the parameters' own are averaged by the caller
        dist.all_reduce(both)
        both /= world_size() * input[:, 0].numel()
        to_input = raised - spread(both[0]) - normalised * spread(both[1])
        to_input *= spread(inverse if weight is None else inverse * weight)
        if weight is None:
            return to_input.to(input.dtype), None, None, None
        return to_input.to(input.dtype), to_weight, to_bias, None


def _raised(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _all_but_channels(tensor: Tensor) -> list[int]:
    return [0, *range(2, tensor.ndim)]
