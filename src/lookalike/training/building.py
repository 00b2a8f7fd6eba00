"""The method of a run, built from its settings: fresh, or as its newest checkpoint has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike import registry
from lookalike.backbones.build import build_backbone
from lookalike.checkpoint import load_checkpoint
from lookalike.errors import UsageError
from lookalike.inference import Encoder
from lookalike.methods.base import Method
from lookalike.training.run_folder import Run


def build_method(config: Mapping[str, Any], *, start: Encoder | None = None) -> Method:
    """Return the method that a run's resolved settings describe, freshly initialised.

    Args:
        config: the settings, as run.json has them.
        start: whose backbone's weights it starts from; none: random ones.

    Raises:
        UsageError: there is no such method or backbone, or it does not take these arguments.
    """
    backbone = build_backbone(config["backbone"], **config["backbone_arguments"])
    if start is not None:  # before the method, which may copy it
        backbone.load_state_dict(start.backbone.state_dict())
    location = registry.locate("methods", config["method"])
    try:
        method: Method = registry.load(location)(backbone, **config["method_arguments"])
    except (TypeError, ValueError) as problem:
        raise UsageError(f"--method {config['method']}: {problem}") from problem
    return method


def load_method(run: str | Path) -> Method:
    """Return the method of a run with the state of its newest checkpoint, on the CPU.

    Raises:
        UsageError: there is no run in this folder, or it has no checkpoint yet.
    """
    path = Run(run).path
    found = load_checkpoint(path / "checkpoints")
    if found is None:
        raise UsageError(f"{path} has no checkpoint yet\n  fix: let it train for a while")
    method = build_method(Run(run).config)
    method.load_state_dict(found.state["method"])
    return method
