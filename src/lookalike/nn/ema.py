"""A slow copy of a network: its parameters are an average of all that the network has been.

MoCo's key encoder, He et al. 2019, arXiv:1911.05722, equation 2; BYOL's target, Grill et al. 2020,
arXiv:2006.07733, equation 1.
"""

import copy
import math

import torch
from torch import Tensor, nn

from lookalike import _check


def frozen_copy(*modules: nn.Module) -> nn.Sequential:
    """Return copies of modules, one after the other, whose parameters ask for no gradient.

    They start in training mode, so their batch normalisation has statistics of its own.
    """
    return nn.Sequential(*map(copy.deepcopy, modules)).requires_grad_(False)


@torch.no_grad()
def ema_update(target: nn.Sequential, *sources: nn.Module, decay: float) -> None:
    """Move a frozen copy towards what it is a copy of: target <- decay target + (1 - decay) source.

    Parameters only: the running averages of batch normalisation are the copy's own, as in the
    papers' code.

    Args:
        target: what `frozen_copy` returned for the sources.
        sources: the modules, in the same order.
        decay: share that stays, in [0, 1]; 1 freezes the copy, 0 makes it equal.

    Raises:
        ValueError: decay is out of its range.
    """
    _check.fraction(decay=decay)
    slow: list[Tensor] = list(target.parameters())
    fast: list[Tensor] = [parameter for source in sources for parameter in source.parameters()]
    torch._foreach_lerp_(slow, fast, 1 - decay)


def cosine_decay(first: float, progress: float) -> float:
    """Return the decay after a part of training: half a cosine from `first` up to 1.

    BYOL, appendix B: 1 - (1 - first) (cos(pi k / K) + 1) / 2.

    Args:
        first: decay at the start, in [0, 1].
        progress: k / K, in [0, 1].
    """
    return 1 - (1 - first) * (math.cos(math.pi * progress) + 1) / 2
