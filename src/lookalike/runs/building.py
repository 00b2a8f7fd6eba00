"""The method of a run, built from its settings: fresh, or as its newest checkpoint has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lookalike import registry
from lookalike.backbones.allowance import Allowance
from lookalike.backbones.build import build_backbone
from lookalike.backbones.embedding import Embedding
from lookalike.checkpoint import load_checkpoint
from lookalike.errors import LookalikeError, UsageError
from lookalike.inference import Encoder, load_encoder
from lookalike.methods.base import Method
from lookalike.nn.heads import split_layers
from lookalike.nn.teacher import Teacher
from lookalike.solved.base import Solved
from lookalike.training.run_folder import Run, damaged


def build_method(
    config: Mapping[str, Any],
    *,
    start: Encoder | None = None,
    teachers: Sequence[Teacher] = (),
) -> Method:
    """Return the method that a run's resolved settings describe, freshly initialised.

    Args:
        config: the settings, as run.json has them.
        start: whose backbone's weights it starts from; none: random ones.
        teachers: of a method that learns from some; none: it will not be trained.

    Raises:
        UsageError: there is no such method or backbone, or it does not take these arguments.
    """
    backbone = build_backbone(config["backbone"], **config["backbone_arguments"])
    if start is not None:  # before the method, which may copy it
        backbone.load_state_dict(start.backbone.state_dict())
    make = registry.load(registry.locate("methods", config["method"]))
    if issubclass(make, Solved):
        raise UsageError(
            f"{config['method']} is solved for: its run holds an encoder, no network in training"
        )
    try:
        taught = (backbone, teachers) if make.needs_teacher else (backbone,)
        method: Method = make(*taught, **config["method_arguments"])
    except (TypeError, ValueError) as problem:
        raise UsageError(f"--method {config['method']}: {problem}") from problem
    return method


def start_from(run: str | Path, *, layer: str | None = None, trust_code: bool = False) -> Encoder:
    """Return the encoder that a training starts from, on the CPU.

    Args:
        run: a run, or a model folder.
        layer: the last layer of a run's head to start with, such as "projector 1", a hidden one of
            linear layer, batch normalisation and ReLU (SimCLRv2, arXiv:2006.10029, fine-tunes from
            there); None: the encoder as it was kept.
        trust_code: whether it may need the code of a file or package that it names.

    Raises:
        UsageError: there is no such run, no such hidden layer, or it needs code that is not
            trusted.
    """
    encoder = load_encoder(run, device="cpu", trust_code=trust_code)
    if layer is None:
        return encoder
    method, config = load_method(run, trust_code=trust_code), Run(run).config
    head, _, number = layer.rpartition(" ")
    layers = split_layers(getattr(method, method.heads[0], nn.Identity()))
    kept = layers[: int(number)] if number.isdecimal() and head == method.heads[0] else []
    if not kept or len(kept) == len(layers):
        known = [f"{method.heads[0]} {each}" for each in range(1, len(layers))]
        raise UsageError(
            f"--from-layer {layer} is no hidden layer of {run}\n"
            f"  fix: {' | '.join(known) or 'leave it out: its head has none'}"
        )
    parts = nn.Sequential(*(part for each in kept for part in each))
    widths = tuple(part.out_features for part in parts if isinstance(part, nn.Linear))
    return Encoder(
        Embedding(method.backbone, parts, dim=widths[-1]),
        size=encoder.size,
        mean=encoder.mean,
        std=encoder.std,
        name="embedding",
        arguments={
            **config["backbone_arguments"],
            "backbone": config["backbone"],
            "widths": widths,
            "hidden": True,
        },
    )


def load_method(run: str | Path, *, trust_code: bool = False) -> Method:
    """Return the method of a run with the state of its newest checkpoint, on the CPU.

    Args:
        run: a run folder.
        trust_code: whether any of its parts may come from a file or package that the run names.
            Their code is then run, so say it only of runs you know.

    Raises:
        UsageError: there is no run in this folder, it has no checkpoint yet, its run.json is
            damaged or not the checkpoint's, or it needs code that is not trusted.
    """
    path = Run(run).path
    found = load_checkpoint(path / "checkpoints")
    if found is None:
        raise UsageError(f"{path} has no checkpoint yet\n  fix: let it train for a while")
    config = Run(run).config
    try:
        state = found.state["method"]
        shapes = [tensor.shape for tensor in state.values() if isinstance(tensor, Tensor)]
        with registry.read_from(path, trust_code=trust_code), Allowance(shapes):
            method = build_method(config)
        if method.needs_teacher:  # what stood between it and its teacher is not needed without one
            state = {name: state[name] for name in method.state_dict() if name in state}
        method.load_state_dict(state)
    except LookalikeError:
        raise
    except Exception as problem:  # a setting may be anything, and its method stumble anywhere
        reason = " ".join(str(problem).split()) or type(problem).__name__
        raise damaged(path / "run.json", f"{reason:.200}") from problem
    return method
