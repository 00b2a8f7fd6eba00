"""The optimizers of the papers, each with the paper's defaults and its way with biases."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW

from lookalike import _check
from lookalike.training.lars import LARS


def sgd(
    module: nn.Module,
    constant_rate: Collection[str] = (),
    *,
    lr: float = 0.03,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 1e-4,
    decay_vectors: bool = True,
) -> SGD:
    """Return SGD with momentum (MoCo, arXiv:1911.05722, and SimSiam, arXiv:2011.10566).

    Args:
        module: whose trainable parameters are optimized.
        constant_rate: names of submodules that schedules leave alone, such as "predictor".
        lr: learning rate, >= 0.
        momentum: share of the last step that goes on, in [0, 1].
        nesterov: look ahead along the momentum.
        weight_decay: >= 0; pulls weights to 0, through the gradient.
        decay_vectors: whether biases and the parameters of batch normalisation decay too.
    """
    _check.fraction(momentum=momentum)
    groups = _groups(module, constant_rate, lr, weight_decay, decay_vectors=decay_vectors)
    return SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=True)


def lars(
    module: nn.Module,
    constant_rate: Collection[str] = (),
    *,
    lr: float = 0.3,
    momentum: float = 0.9,
    weight_decay: float = 1e-6,
    trust_coefficient: float = 0.001,
) -> LARS:
    """Return LARS; biases and batch normalisation see plain momentum (SimCLR, arXiv:2002.05709).

    Args:
        module: whose trainable parameters are optimized.
        constant_rate: names of submodules that schedules leave alone, such as "predictor".
        lr: learning rate, >= 0.
        momentum: share of the last step that goes on, in [0, 1].
        weight_decay: >= 0; pulls weights to 0, through the gradient.
        trust_coefficient: > 0; a step's length over the weights' length, at a rate of 1.
    """
    groups = _groups(module, constant_rate, lr, weight_decay, decay_vectors=False)
    for group in groups:
        group["adapt"] = not group["vectors"]
    return LARS(groups, lr=lr, momentum=momentum, trust_coefficient=trust_coefficient)


def adamw(
    module: nn.Module,
    constant_rate: Collection[str] = (),
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.1,
    decay_vectors: bool = True,
) -> AdamW:
    """Return AdamW (arXiv:1711.05101) as MoCo v3 trains transformers (arXiv:2104.02057).

    There the rate is 1.5e-4 for 256 images a step; by default it is the usual 1e-3.

    Args:
        module: whose trainable parameters are optimized.
        constant_rate: names of submodules that schedules leave alone, such as "predictor".
        lr: learning rate, >= 0.
        betas: how much of the mean gradient and of its mean square stays, each in [0, 1).
        weight_decay: >= 0; pulls weights to 0, beside the gradient.
        decay_vectors: whether biases and the parameters of batch normalisation decay too.
    """
    groups = _groups(module, constant_rate, lr, weight_decay, decay_vectors=decay_vectors)
    return AdamW(groups, lr=lr, betas=betas, fused=True)


def _groups(
    module: nn.Module,
    constant_rate: Collection[str],
    lr: float,
    weight_decay: float,
    *,
    decay_vectors: bool,
) -> list[dict[str, Any]]:
    """Return the trainable parameters, grouped by what may be done to them.

    Each group says its `schedule`, "cosine" or "constant"; its `weight_decay`; whether it holds
    `vectors`: tensors of at most one dimension, which are biases and normalisations; and, where the
    module's `rates` name its parameters, a learning rate `lr` of its own; such groups come last.
    """
    _check.at_least(0, weight_decay=weight_decay)
    constant = {id(p) for name in constant_rate for p in module.get_submodule(name).parameters()}
    rates = getattr(module, "rates", {})
    groups: dict[tuple[str, bool, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            schedule = "constant" if id(parameter) in constant else "cosine"
            named = [rate for part, rate in rates.items() if f"{name}.".startswith(f"{part}.")]
            key = (schedule, parameter.ndim <= 1, float(named[0]) if named else 1.0)
            groups.setdefault(key, []).append(parameter)
    ordered = sorted(groups.items(), key=lambda item: item[0][2] != 1)
    return [
        {
            "params": parameters,
            "schedule": schedule,
            "vectors": vectors,
            "weight_decay": weight_decay if decay_vectors or not vectors else 0.0,
            **({"lr": lr * rate} if rate != 1 else {}),
        }
        for (schedule, vectors, rate), parameters in ordered
    ]
