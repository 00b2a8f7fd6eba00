"""SoTeacher: a teacher that is true, not loud. Dong et al. 2024, arXiv:2206.06661."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.methods.base import Batch, Step
from lookalike.methods.supervised import Supervised
from lookalike.nn.gather import gather


class SoTeacher(Supervised):
    """Keep what is said of an image steady over training, and the network smooth.

    Such answers come nearer to the true probabilities of the classes on the training images, which
    is what a student learns from them.

    Args:
        image_count: images to train on; training fills it in.
        lipschitz: >= 0, weight of what bounds how fast answers can change (authors' code: 1e-5).
        consistency: >= 0, weight at the end of training, to which it rises from 0 evenly, of the
            squared distance between what is said of an image and the mean of what was said of it
            before (authors' code: 1).
        arguments: what `Supervised` takes besides.

    Raises:
        ValueError: a number is out of its range, or images are mixed, of which there is no memory.
    """

    said: Tensor
    times: Tensor
    progress: Tensor

    def __init__(
        self,
        backbone: Backbone,
        *,
        class_count: int,
        image_count: int,
        lipschitz: float = 1e-5,
        consistency: float = 1.0,
        **arguments: Any,
    ) -> None:
        super().__init__(backbone, class_count=class_count, **arguments)
        _check.at_least(1, image_count=image_count)
        _check.at_least(0, lipschitz=lipschitz, consistency=consistency)
        if self.mixup:
            raise ValueError("mixup must be off: what is remembered is remembered of single images")
        self.lipschitz = lipschitz
        self.consistency = consistency
        self.register_buffer("said", torch.zeros(image_count, class_count))
        self.register_buffer("times", torch.zeros(image_count))
        self.register_buffer("progress", torch.zeros(()))

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return one output a class, and one memory an image."""
        return {**super().fit(images, classes), "image_count": (images, "one memory an image")}

    def forward(self, batch: Batch) -> Step:
        """Return the loss of the labels and of what keeps answers smooth and steady."""
        logits = self.embed(batch.views[0])
        fitted = self.measure(logits, self.targets(batch.labels))
        shares = logits.softmax(1, dtype=self.said.dtype)
        known = (self.times[batch.index] > 0).unsqueeze(1)
        drift = ((shares - self.said[batch.index]).square() * known).mean()
        loss = fitted + self.lipschitz * steepness(self)
        loss = loss + self.consistency * self.progress * drift
        right = (logits.detach().argmax(1) == batch.labels).to(shares.dtype).mean()
        carry = (gather(shares.detach()), gather(batch.index))
        return Step(loss, {"right": right, "drift": drift.detach()}, carry)

    def after_step(self, step: Step, progress: float) -> None:
        """Remember what was said of each image: the mean over all times.

        Args:
            step: its carry is the answers and positions of all processes.
            progress: fraction of training done.
        """
        shares, index = step.carry
        self.times[index] += 1
        self.said[index] += (shares - self.said[index]) / self.times[index].unsqueeze(1)
        self.progress.fill_(progress)


def steepness(network: nn.Module) -> Tensor:
    """Return the () sum of what bounds each layer's slope.

    The absolute weights of a convolution; the largest gain of a batch normalisation, |weight| /
    sqrt(variance + eps); the largest column sum of a linear layer's absolute weights.
    """
    parts = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            parts.append(layer.weight.abs().sum())
        elif isinstance(layer, nn.Linear):
            parts.append(layer.weight.abs().sum(0).max())
        elif isinstance(layer, _NormBase) and layer.affine and layer.running_var is not None:
            parts.append((layer.weight.abs() / (layer.running_var + layer.eps).sqrt()).max())
    return torch.stack(parts).sum()
