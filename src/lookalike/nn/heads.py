"""Projection heads: from the representation to the space that a loss compares in."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import nn

from lookalike import _check

FinalBatchNorm = Literal["none", "full", "scale", "plain"]


def mlp(
    *widths: int,
    batch_norm: bool = True,
    final_batch_norm: FinalBatchNorm = "none",
    bias: bool = True,
) -> nn.Sequential:
    """Return linear layers with ReLU between them: (B, widths[0]) -> (B, widths[-1]).

    A linear layer has no bias where batch normalisation, which would take it away, comes next.
    The layers stand in one sequence, so `mlp(...)[:n]` is the head up to any of them.

    - SimCLR, arXiv:2002.05709: mlp(dim, dim, 128, final_batch_norm="scale"); version 2,
      arXiv:2006.10029: mlp(dim, dim, dim, 128, final_batch_norm="scale").
    - MoCo v2, arXiv:2003.04297: mlp(dim, dim, 128, batch_norm=False).
    - BYOL, arXiv:2006.07733: mlp(dim, 4096, 256), and mlp(256, 4096, 256) to predict.
    - SimSiam, arXiv:2011.10566: mlp(dim, 2048, 2048, 2048, final_batch_norm="plain"), and
      mlp(2048, 512, 2048) to predict.

    Args:
        widths: of the input, of each hidden layer and of the output; two at least.
        batch_norm: whether each hidden layer is normalised before its ReLU.
        final_batch_norm: of the output; full has a scale and a centre to learn, scale only the
            one, plain neither.
        bias: whether the last linear layer has one, where no normalisation comes next.

    Raises:
        ValueError: there are fewer than two widths, one is below 1, or there is no such
            `final_batch_norm`.
    """
    if len(widths) < 2:
        raise ValueError(f"widths must be at least two, in and out, got {widths}")
    for width in widths:
        _check.at_least(1, width=width)
    _check.one_of(("none", "full", "scale", "plain"), final_batch_norm=final_batch_norm)
    head = nn.Sequential()
    for before, after in pairwise(widths[:-1]):
        head.append(nn.Linear(before, after, bias=not batch_norm))
        if batch_norm:
            head.append(nn.BatchNorm1d(after))
        head.append(nn.ReLU(inplace=True))
    normalised = final_batch_norm != "none"
    head.append(nn.Linear(widths[-2], widths[-1], bias=bias and not normalised))
    if normalised:
        head.append(_final_norm(widths[-1], final_batch_norm))
    return head


def split_layers(head: nn.Module) -> list[nn.Sequential]:
    """Return a head layer by layer: one after the other, they are the head.

    A layer is a linear one with all that follows it up to the next; what comes before the first
    belongs to it. Sequences in sequences are opened, any other module counts as it is, and an
    identity is no layer.

    Args:
        head: its layers are used, not copied.
    """
    layers: list[list[nn.Module]] = []
    for part in _parts(head):
        begins = isinstance(part, nn.Linear)
        if not layers or (begins and any(isinstance(each, nn.Linear) for each in layers[-1])):
            layers.append([])
        layers[-1].append(part)
    return [nn.Sequential(*layer) for layer in layers]


def _parts(head: nn.Module) -> list[nn.Module]:
    if isinstance(head, nn.Sequential):
        return [part for child in head for part in _parts(child)]
    return [] if isinstance(head, nn.Identity) else [head]


def _final_norm(width: int, kind: FinalBatchNorm) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(width, affine=kind != "plain")
    if kind == "scale":
        norm.bias.requires_grad_(False)  # it stays 0: TensorFlow's center=False
    return norm
