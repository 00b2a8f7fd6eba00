"""Settings that the user left open: chosen for the data and the machine, each with its reason."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import torch

from lookalike import registry
from lookalike.data.samplers import Paired
from lookalike.errors import DataError, UsageError
from lookalike.inference import Encoder, fast_precision
from lookalike.methods.base import Method, Recipe
from lookalike.runs.asked import Asked
from lookalike.runs.facts import Facts
from lookalike.runs.sampling import Sampling, choose_sampling
from lookalike.runs.teachers import Taught
from lookalike.training.run_folder import Choice
from lookalike.training.schedule import FORMULAS, scaled_learning_rate
from lookalike.views.plans import PLANS, Plan

SMALL_SIDE = 96
"""Pixels up to which an image counts as small: CIFAR, STL-10, thumbnails."""

CPU_SIDE = 32
"""Pixels at which a CPU trains: a 16-wide ResNet-18 then sees near a thousand images a second."""

PATCH_SIDE = 32
"""Pixels of a patch where a method trains on patches: Exemplar-CNN's (arXiv:1406.6909)."""

CPU_PICTURES = 240_000
"""Views that a CPU run sees in all: some minutes on two cores."""

CPU_AREA = (0.2, 1.0)
CPU_WEIGHT_DECAY = 1e-3
"""Milder crops and more weight decay than a method's long runs have: on people held out of the
photos of hands, runs of some minutes end several points higher with each of them."""


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Every setting of a run, none left open.

    Attributes:
        method: its name.
        method_arguments: its keyword arguments.
        backbone: its name.
        backbone_arguments: its keyword arguments.
        plan: the views.
        size: side of a view in pixels.
        optim: the optimizer's name.
        optim_arguments: its keyword arguments, the peak learning rate among them.
        warmup_epochs: epochs in which the learning rate rises.
        epochs: times every image is seen.
        batch_size: images a step, over all processes.
        sampling: how batches are drawn: shuffled, classes, identities or pairs.
        images_per_class: in a batch; None where classes play no part.
        pairs: that batches are of; None where they are of images.
        seed: of everything that is random.
        accumulate: parts in which a batch is projected.
        precision: "bfloat16" or "float32".
        compile: whether the method is compiled.
        workers: processes that decode.
        save_every: seconds between checkpoints.
        log_every: steps between rows of metrics.
        monitor_every: epochs between readings of the monitors.
        choices: what the user left open, and why it became what it is.
    """

    method: str
    method_arguments: dict[str, Any]
    backbone: str
    backbone_arguments: dict[str, Any]
    plan: Plan
    size: int
    optim: str
    optim_arguments: dict[str, Any]
    warmup_epochs: float
    epochs: int
    batch_size: int
    sampling: str
    images_per_class: int | None
    pairs: Paired | None
    seed: int
    accumulate: int
    precision: str
    compile: bool
    workers: int
    save_every: float
    log_every: int
    monitor_every: int
    choices: tuple[Choice, ...]

    @property
    def drawn(self) -> Sampling:
        """How batches are drawn."""
        return Sampling(self.sampling, self.images_per_class, self.batch_size, self.pairs)

    def record(self) -> dict[str, Any]:
        """Return the settings as run.json holds them."""
        record = {each.name: getattr(self, each.name) for each in fields(self)}
        del record["choices"], record["pairs"]
        record["pairs_balanced"] = self.pairs.balanced if self.pairs else None
        plan = record.pop("plan")
        views = [asdict(view) for view in plan.views]
        record["views"] = {"name": plan.name, "normalise": plan.normalise, "views": views}
        return record


class _Open:
    """Takes what the user gave, fills in the rest and remembers why."""

    def __init__(self) -> None:
        self.choices: list[Choice] = []

    def fill(self, name: str, given: Any, choice: tuple[Any, str]) -> Any:
        if given is not None:
            return given
        self.choices.append(Choice(name, *choice))
        return choice[0]


def resolve(
    asked: Asked,
    method: type[Method],
    facts: Facts,
    device: torch.device,
    start: Encoder | None = None,
    *,
    taught: Taught | None = None,
) -> Resolved:
    """Return every setting of a run.

    Args:
        asked: of `lookalike.train`; None where the choice is left to us.
        method: the training scheme.
        facts: what the choices depend on.
        device: where training runs.
        start: the encoder that training starts from.
        taught: the teachers that training learns from.

    Raises:
        UsageError: a setting cannot be.
    """
    fill = _Open()
    _refuse_beyond(asked, facts)
    size = fill.fill("size", asked.size, _size(method, facts, device, start, taught))
    plan, recipe, why = _recipe(method, size)
    views_arguments = dict(asked.views_arguments or {})
    if asked.views is not None:
        plan = PLANS[asked.views]
    else:
        fill.choices.append(Choice("views", plan.name, why))
        severe = min(view.area[0] for view in plan.views) < CPU_AREA[0]
        if device.type == "cpu" and severe and "area" not in views_arguments:
            reason = "no GPU: a short run learns more from milder crops"
            fill.choices.append(Choice("views.area", list(CPU_AREA), reason))
            views_arguments["area"] = CPU_AREA
    sampling = choose_sampling(
        asked, method, facts, usual=_batch_size(facts, size, device), fill=fill.fill
    )
    batch_size = sampling.batch_size
    epochs = fill.fill("epochs", asked.epochs, _epochs(facts, len(plan.views), device))
    network, arguments, network_why = _backbone(method, size, device, start)
    if asked.backbone is not None:
        network, arguments = asked.backbone, {}
    else:
        shown = [network, *(f"{name}={value}" for name, value in arguments.items())]
        fill.choices.append(Choice("backbone", " ".join(shown), network_why))
    optim = fill.fill("optim", asked.optim, (recipe.optim, why))
    mine = optim == recipe.optim
    given = dict(asked.optim_arguments or {})
    rate = fill.fill("optim.lr", given.pop("lr", None), _rate(asked, recipe, optim, batch_size))
    decay = {}
    if mine and "weight_decay" not in given:
        decay["weight_decay"] = recipe.weight_decay
        if device.type == "cpu" and optim == "sgd" and recipe.weight_decay:
            reason = "no GPU: a short run learns more with a strong one"
            fill.choices.append(Choice("optim.weight_decay", CPU_WEIGHT_DECAY, reason))
            decay["weight_decay"] = CPU_WEIGHT_DECAY
    chosen = {name: (value, why) for name, value in recipe.method_arguments.items()}
    chosen |= method.fit(facts.count, facts.class_names)
    if taught is not None and method.needs_teacher == "classes":
        chosen["class_count"] = (taught.teachers[0].width(), "what the teacher tells apart")
    elif taught is not None:
        chosen["dim"] = (taught.teachers[0].width(), "as wide as the teacher's vectors")
    method_arguments = _method_arguments(asked, method)
    for name, choice in chosen.items():
        if name not in method_arguments:
            method_arguments[name] = fill.fill(f"method.{name}", None, choice)
    _refuse_too_few(method_arguments, facts)
    precision = None if asked.precision == "auto" else asked.precision
    return Resolved(
        method=asked.method,
        method_arguments=method_arguments,
        backbone=network,
        backbone_arguments={**arguments, **(asked.backbone_arguments or {})},
        plan=_changed(plan, views_arguments),
        size=size,
        optim=optim,
        optim_arguments={"lr": rate, **decay, **given},
        warmup_epochs=fill.fill("warmup_epochs", asked.warmup_epochs, (recipe.warmup_epochs, why)),
        epochs=epochs,
        batch_size=batch_size,
        sampling=sampling.name,
        images_per_class=sampling.images_per_class,
        pairs=sampling.pairs,
        seed=asked.seed,
        accumulate=asked.accumulate,
        precision=fill.fill("precision", precision, fast_precision(device)),
        compile=asked.compile,
        workers=fill.fill("workers", asked.workers, _workers(facts)),
        save_every=asked.save_every,
        log_every=asked.log_every,
        monitor_every=fill.fill(
            "monitor_every", asked.monitor_every, (max(epochs // 20, 1), "20 readings in all")
        ),
        choices=tuple(fill.choices),
    )


_PARTS: Final = {  # what some methods take by name, and what others say to it
    "loss": "has a loss of its own\n  fix: leave it out, or --method metric, which takes any",
    "student": "trains for no student\n  fix: leave it out, or --method sftn",
}


def _rate(asked: Asked, recipe: Recipe, optim: str, batch_size: int) -> tuple[float, str]:
    """Return the peak learning rate of an optimizer, the method's or another one, and why."""
    if optim != recipe.optim and asked.base_lr is None:
        make = registry.load(registry.locate("training.optim", optim))
        own = inspect.signature(make).parameters.get("lr")
        if own is not None and own.default is not own.empty:
            return own.default, f"{optim}'s own, as the method's is for {recipe.optim}"
    scaling = asked.lr_scaling or recipe.scaling
    base = recipe.lr if asked.base_lr is None else asked.base_lr
    lr = scaled_learning_rate(base, batch_size, scaling=scaling)
    return lr, FORMULAS[scaling](base, batch_size)


def _refuse_beyond(asked: Asked, facts: Facts) -> None:
    if facts.count < 2:
        raise DataError(
            f"{facts.count} image is too few: an encoder learns by comparing images\n"
            "  fix: name a source of at least 2, better some hundreds"
        )
    if facts.pairs is None and asked.batch_size and asked.batch_size > facts.count:
        raise UsageError(
            f"--batch-size {asked.batch_size} is more than the {facts.count} images\n"
            f"  fix: --batch-size {_largest_power(facts.count // 2)}, or leave it out"
        )


def _refuse_too_few(method_arguments: Mapping[str, Any], facts: Facts) -> None:
    held = method_arguments.get("image_count", facts.count)
    if held < facts.count:
        raise UsageError(
            f"--method.image-count {held} is less than the {facts.count} images\n"
            "  fix: leave it out, or train on fewer with --limit"
        )
    told_apart = method_arguments.get("class_count", facts.class_names)
    if told_apart < facts.class_names:
        raise UsageError(
            f"--method.class-count {told_apart} is less than the {facts.class_names} classes\n"
            "  fix: leave it out"
        )


def _method_arguments(asked: Asked, method: type[Method]) -> dict[str, Any]:
    """Return what the user gave the method, its loss or student with their arguments among it."""
    arguments = dict(asked.method_arguments or {})
    for part, problem in _PARTS.items():
        given = {
            name: getattr(asked, name)
            for name in (part, f"{part}_arguments")
            if getattr(asked, name)
        }
        if given and part not in inspect.signature(method).parameters:
            raise UsageError(f"--{part}: {asked.method} {problem}")
        arguments |= given
    return arguments


def _largest_power(limit: int) -> int:
    """Return the largest power of two up to a limit, at least 2."""
    return 1 << max(limit, 2).bit_length() - 1


def _size(
    method: type[Method],
    facts: Facts,
    device: torch.device,
    start: Encoder | None,
    taught: Taught | None,
) -> tuple[int, str]:
    if start is not None:
        return start.size, "as the encoder it starts from"
    if taught is not None and taught.size is not None:
        return taught.size, "as the teacher"
    if method.seed_patches:
        return PATCH_SIDE, "patches as large as the paper's"
    if facts.side <= 40:
        return max(facts.side, 16), f"the images are {facts.side} px"
    if device.type == "cpu":
        return min(facts.side, CPU_SIDE), f"the images are {facts.side} px, and there is no GPU"
    return min(facts.side // 32 * 32, 224), f"the images are {facts.side} px; at most 224"


def _recipe(method: type[Method], size: int) -> tuple[Plan, Recipe, str]:
    if size <= SMALL_SIDE:
        return method.small_views, method.small_recipe, f"{size} px: the method's CIFAR settings"
    return method.views, method.recipe, f"{size} px: the method's ImageNet settings"


def _changed(plan: Plan, changes: Mapping[str, Any]) -> Plan:
    try:
        return plan.with_(**changes)
    except ValueError as problem:
        raise UsageError(f"--views: {problem}") from problem


def _batch_size(facts: Facts, size: int, device: torch.device) -> tuple[int, str]:
    if device.type == "cpu":
        wanted, reason = 64, "no GPU: a short run gains more from steps than from their size"
    else:
        wanted, reason = (512 if size <= SMALL_SIDE else 256), f"views of {size} px"
    count, told = facts.seen
    fits = _largest_power(count // 4)
    if fits < wanted:
        return min(fits, count), f"{told}: some steps an epoch"
    return wanted, reason


def _epochs(facts: Facts, views: int, device: torch.device) -> tuple[int, str]:
    count, told = facts.seen
    if device.type == "cpu":
        epochs = min(max(round(CPU_PICTURES / (views * count)), 5), 200)
        return epochs, f"{told} and no GPU: minutes, not hours"
    usual, why = (200, "small images") if facts.side <= SMALL_SIDE else (100, "as papers compare")
    if count <= facts.count:
        return usual, why
    epochs = max(round(usual * facts.count / count), 5)
    return epochs, f"{told}: images come about as often as in {usual} epochs of them"


def _backbone(
    method: type[Method], size: int, device: torch.device, start: Encoder | None
) -> tuple[str, dict[str, Any], str]:
    if start is not None:
        published = {"pretrained": False} if "pretrained" in start.arguments else {}
        return start.name, {**start.arguments, **published}, "as the encoder it starts from"
    if method.default_backbone is not None:
        return method.default_backbone, {}, "the method's own"
    if device.type == "cpu":
        return _cpu_backbone(method, size)
    if size <= 64:
        return "resnet18", {"stem": "cifar"}, f"views of {size} px: a stem that keeps them whole"
    if size < 160:
        return "resnet18", {"stem": "strided"}, f"views of {size} px: a stem that halves them"
    return "resnet50", {"stem": "imagenet"}, f"views of {size} px: the papers' network"


def _cpu_backbone(method: type[Method], size: int) -> tuple[str, dict[str, Any], str]:
    if method.needs_labels and size <= SMALL_SIDE:
        reason = "no GPU: told what is alike, four convolutions learn most in minutes"
        return "small_conv", {}, reason
    reason = "no GPU: narrow, halves at once, starts with all blocks at work: learns in minutes"
    return "resnet18", {"width": 16, "stem": "strided", "zero_init_residual": False}, reason


def _workers(facts: Facts) -> tuple[int, str]:
    if facts.resident:
        return 0, "the images are in memory"
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(cores, 16), f"{cores} cores decode"
