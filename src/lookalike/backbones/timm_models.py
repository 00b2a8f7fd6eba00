"""Any of timm's models as a backbone. github.com/huggingface/pytorch-image-models."""

from __future__ import annotations

from typing import Any

import timm
from torch import Tensor

from lookalike import registry
from lookalike.backbones.base import Backbone
from lookalike.errors import UsageError


def timm_model(name: str, *, pretrained: bool = False, **arguments: Any) -> TimmModel:
    """Return one of timm's models without its classifier.

    Args:
        name: as timm has it, with or without a tag: "resnet50", "vit_small_patch16_224.dino".
        pretrained: start from its published weights, downloaded unless they are at hand.
        arguments: passed on to timm, such as `img_size` of a vision transformer.

    Raises:
        UsageError: timm has no such model, or cannot build it so, or its weights cannot be had.
    """
    return TimmModel(name, pretrained=pretrained, **arguments)


class TimmModel(Backbone):
    """One of timm's models: (B, 3, H, W) -> (B, dim), pooled as its authors pool it.

    Args:
        name: see `timm_model`.
        pretrained: see `timm_model`.
        arguments: see `timm_model`.

    Raises:
        UsageError: see `timm_model`.
    """

    def __init__(self, name: str, *, pretrained: bool, **arguments: Any) -> None:
        if not timm.is_model(name):
            near = registry.did_you_mean(name, registry.names("backbones") + timm.list_models())
            raise UsageError(f"there is no backbone {name!r}, here or in timm.{near}")
        try:
            model: Any = timm.create_model(name, pretrained=pretrained, num_classes=0, **arguments)
        except Exception as error:  # hub clients raise their network library's own errors
            raise UsageError(_complaint(name, error, pretrained=pretrained)) from error
        super().__init__(dim=model.head_hidden_size)
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim)."""
        representations: Tensor = self.model(images)
        return representations


def _complaint(name: str, error: Exception, *, pretrained: bool) -> str:
    reason = str(error).strip().partition("\n")[0]
    if pretrained:
        return (
            f"the pretrained weights of {name!r} are neither here nor to be had: {reason}"
            "\nfix: leave pretrained out, or connect to the hub once"
        )
    return f"timm cannot build {name!r} so: {reason}"
