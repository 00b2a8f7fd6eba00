"""Backbones by name: this package's own, any of timm's, or the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from lookalike import registry
from lookalike.backbones.base import Backbone
from lookalike.errors import UsageError

WEIGHTS_FROM: Final = frozenset(
    {"pretrained", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}
)
"""Arguments that say where weights are to be had, and nothing of the network that they fill."""


def build_backbone(name: str, **arguments: Any) -> Backbone:
    """Return the backbone that goes by a name.

    Args:
        name: one of this room's, such as "resnet18"; "timm/NAME", or NAME alone where it is not
            ours; or somebody's own, "mine.py:Net" or "package.module:Net".
        arguments: of the backbone.

    Raises:
        UsageError: there is no such backbone, it takes no such arguments, or it is no `Backbone`.
        ValueError: an argument is out of its range.
    """
    make = _maker(name)
    try:
        inspect.signature(make).bind(**arguments)
    except TypeError as error:
        raise UsageError(f"backbone {name}: {error}") from None
    backbone = make(**arguments)
    if not isinstance(backbone, Backbone):
        raise UsageError(f"{name} must be a lookalike Backbone, got {type(backbone).__name__}")
    return backbone


def architecture(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that say what a backbone is, without where its first weights lie.

    Args:
        arguments: of a backbone.
    """
    return {name: value for name, value in arguments.items() if name not in WEIGHTS_FROM}


def _maker(name: str) -> Callable[..., Backbone]:
    make: Callable[..., Backbone]
    try:
        make = registry.load(registry.locate("backbones", name))
    except UsageError:
        if ":" in name:
            raise
        # timm is imported on use: that takes seconds
        timm_model = registry.load(registry.locate("backbones", "timm_model"))
        make = partial(timm_model, name.removeprefix("timm/"))
    return make
