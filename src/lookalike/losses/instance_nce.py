"""Noise-contrastive estimation of the softmax over images. Wu et al. 2018, 1805.01978, eq. 5-8."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import _check


def instance_nce_loss(
    positive: Tensor, noise: Tensor, *, images: int, normaliser: Tensor, temperature: float = 0.07
) -> Tensor:
    """Tell the image's own row of the bank from rows drawn at random.

    With P = exp(cosine / temperature) / Z and h = P / (P + m / n), the loss of an image is -log h
    of its own row less the sum of log(1 - h) over m rows drawn uniformly from all n.

    Args:
        positive: (B,) cosines with the image's own row.
        noise: (B, m) cosines with the rows drawn.
        images: n, rows in the bank.
        normaliser: () Z, > 0, taken as a constant; see `estimated_normaliser`.
        temperature: > 0; lower weighs the nearest rows more.

    Returns:
        () mean over the batch, in nats, >= 0; (1 + m) log(1 + m) - m log(m) where every P is 1 / n.

    Raises:
        ValueError: shapes do not match; temperature <= 0; images < 1.
    """
    _check.matrix(noise=noise)
    _check.labels_of(len(noise), positive=positive)
    _check.positive(temperature=temperature)
    _check.at_least(1, images=images)
    # h is the sigmoid of log P - log(m / n).
    offset = normaliser.detach().log() + math.log(noise.shape[1] / images)
    positive, noise = _raised(positive), _raised(noise)
    own = F.logsigmoid(positive / temperature - offset)
    others = F.logsigmoid(offset - noise / temperature).sum(1)
    loss: Tensor = -(own + others).mean()
    return loss


def estimated_normaliser(
    positive: Tensor, noise: Tensor, *, images: int, temperature: float = 0.07
) -> Tensor:
    """Return Z as the paper estimates it: n times the mean of exp(cosine / temperature).

    Args:
        positive: (B,) cosines with the image's own row.
        noise: (B, m) cosines with rows drawn at random.
        images: n.
        temperature: > 0.

    Returns:
        () > 0, without gradient; the paper takes that of the first batch for good.
    """
    masses = [(_raised(each) / temperature).exp().sum() for each in (positive, noise)]
    return (images * (masses[0] + masses[1]) / (positive.numel() + noise.numel())).detach()


def _raised(cosines: Tensor) -> Tensor:
    return cosines.to(torch.promote_types(cosines.dtype, torch.float32))
