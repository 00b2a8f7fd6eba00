"""What was asked of a training: one value, judged before an image is read or torch imported."""

from __future__ import annotations

import importlib.machinery
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lookalike import registry
from lookalike.errors import UsageError
from lookalike.views.plans import PLANS

LOWEST: Final[Mapping[str, float]] = {
    "accumulate": 1,
    "base_lr": 0,
    "batch_size": 2,
    "epochs": 1,
    "fine_epochs": 1,
    "images_per_class": 1,
    "limit": 2,
    "log_every": 1,
    "max_pixels": 1,
    "max_unreadable": 0,
    "monitor_every": 1,
    "resident_mb": 0,
    "save_every": 0,
    "seed": 0,
    "size": 8,
    "teach_epochs": 1,
    "warmup_epochs": 0,
    "workers": 0,
}
"""Least value of each number, of `lookalike.train` and of those that call it."""

ROOMS: Final = {
    "method": "methods",
    "backbone": "backbones",
    "student": "backbones",
    "loss": "losses",
    "optim": "training.optim",
}
"""Where each name that can be asked for is looked up."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The arguments of `lookalike.train`, which tells of each; None where the choice is ours.

    Raises:
        UsageError: a number is out of its range, a name stands for nothing, or two arguments
            contradict each other.
    """

    source: str | Path
    out: str | Path | None
    method: str
    backbone: str | None
    loss: str | None
    student: str | None
    from_: str | Path | None
    from_layer: str | None
    teacher: tuple[str | Path, ...] | str | Path
    views: str | None
    optim: str | None
    epochs: int | None
    batch_size: int | None
    sampling: Literal["shuffled", "classes", "identities"] | None
    images_per_class: int | None
    pairs: str | Path | None
    pairs_balanced: bool | None
    size: int | None
    seed: int
    base_lr: float | None
    lr_scaling: Literal["linear", "square_root", "none"] | None
    warmup_epochs: float | None
    accumulate: int
    limit: int | None
    labels: float
    workers: int | None
    resident_mb: int
    device: str
    precision: Literal["auto", "bfloat16", "float32"]
    compile: bool
    save_every: float
    log_every: int
    monitor_every: int | None
    max_unreadable: float
    max_pixels: int
    download: bool
    allow_changes: bool
    overwrite: bool
    trust_code: bool
    evaluate: bool
    quiet: bool
    method_arguments: Mapping[str, Any] | None
    backbone_arguments: Mapping[str, Any] | None
    loss_arguments: Mapping[str, Any] | None
    student_arguments: Mapping[str, Any] | None
    views_arguments: Mapping[str, Any] | None
    optim_arguments: Mapping[str, Any] | None

    def __post_init__(self) -> None:
        """Judge what can be judged without the images."""
        judge(vars(self))


def judge(asked: Mapping[str, Any]) -> None:
    """Refuse numbers and names that cannot be, whatever the images are.

    Args:
        asked: arguments of `lookalike.train`, or some of them, by name; others are not looked at.

    Raises:
        UsageError: a number is out of its range, a name stands for nothing, or an encoder to start
            from comes with another backbone.
    """
    for name, least in LOWEST.items():
        value = asked.get(name)
        if value is not None and not value >= least:  # neither is NaN
            option = name.replace("_", "-")
            raise UsageError(f"--{option} must be at least {least:g}, got {value}")
    share = asked.get("labels", 1.0)
    if not 0 < share <= 1:
        raise UsageError(f"--labels must lie in (0, 1], got {share:g}")
    if asked.get("from_") and (asked.get("backbone") or asked.get("backbone_arguments")):
        raise UsageError(
            f"--backbone and --from {asked['from_']}: an encoder brings its own backbone\n"
            "  fix: leave one of them out"
        )
    for name, room in ROOMS.items():
        if asked.get(name) is not None:
            _judge_name(room, asked[name])
    if asked.get("views") is not None:
        _judge_plan(asked["views"], asked.get("views_arguments") or {})


def _judge_name(room: str, name: str) -> None:
    try:
        registry.locate(room, name)
    except UsageError:
        if room != "backbones" or ":" in name:
            raise
        if not _may_be_of_timm(name.removeprefix("timm/")):
            near = registry.did_you_mean(name, registry.names(room))
            raise UsageError(f"there is no backbone {name!r}, here or in timm.{near}") from None


def _judge_plan(name: str, changes: Mapping[str, Any]) -> None:
    if name not in PLANS:
        hint = registry.did_you_mean(name, PLANS)
        raise UsageError(f"--views {name} is no plan.{hint} There are: {', '.join(PLANS)}")
    try:
        PLANS[name].with_(**changes)
    except ValueError as problem:
        raise UsageError(f"--views: {problem}") from problem


def _may_be_of_timm(name: str) -> bool:
    """Whether timm's source defines such a model; looked up as text, for importing takes seconds.

    Where timm is not found as files, it may: whoever builds the model will know.
    """
    spec = importlib.machinery.PathFinder.find_spec("timm")
    places = spec.submodule_search_locations if spec else None
    files = [file for place in places or () for file in Path(place, "models").glob("*.py")]
    if not files:
        return True
    stem = re.escape(name.partition(".")[0])
    told = re.compile(rf"^def {stem}\(|['\"]{stem}['\"]", re.MULTILINE)
    return any(told.search(file.read_text(encoding="utf-8", errors="replace")) for file in files)
