"""A run whose encoder is solved for: settings, parts that are kept, the encoder, its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from lookalike.data.pairs import Pairs
from lookalike.errors import DataError, UsageError
from lookalike.inference import Encoder
from lookalike.runs.asked import Asked
from lookalike.runs.collection import Collection
from lookalike.runs.facts import Facts
from lookalike.runs.pictures import PicturesOfRun
from lookalike.runs.running import Running
from lookalike.solved.base import Solution, Solved
from lookalike.training.distributed import World
from lookalike.training.progress import Progress
from lookalike.training.run_folder import Choice, RunFolder
from lookalike.training.signals import StopRequest
from lookalike.views.plans import PLANS, Plan

LARGEST_SIDE: Final = 48
"""Pixels a side of the pictures that are chosen for large images: a dictionary sees texture."""

DESCENDS: Final = (
    *("backbone", "loss", "student", "teacher", "from_layer", "optim", "epochs", "batch_size"),
    *("sampling", "images_per_class", "pairs_balanced", "base_lr", "lr_scaling", "warmup_epochs"),
    *("backbone_arguments", "loss_arguments", "student_arguments", "optim_arguments"),
)
"""Settings of `train` that mean nothing to an encoder that is solved for."""


def asks_for_descent(given: Mapping[str, Any]) -> str:
    """Return the first option among arguments of `train` that only gradients need; "" if none."""
    for name in DESCENDS:
        if given[name] not in (None, (), {}):
            return f"--{name.replace('_arguments', '.X').replace('_', '-')}"
    if given["accumulate"] != 1 or given["compile"]:
        return "--compile" if given["compile"] else "--accumulate"
    return ""


def refuse_descent(asked: Asked) -> None:
    """Refuse settings of gradient descent.

    Raises:
        UsageError: one was given.
    """
    if option := asks_for_descent(vars(asked)):
        raise UsageError(
            f"{option} says nothing to {asked.method}, which is solved for\n"
            "  fix: leave it out, or name a --method that descends a gradient"
        )


class Settings:
    """Everything that a solved encoder depends on.

    Args:
        asked: arguments of `lookalike.train`, by name.
        method: the solved encoder's class.
        facts: of the images.
        start: the encoder whose vectors are the features, if any.

    Raises:
        UsageError: a setting cannot be.
        DataError: there are too few images.
    """

    def __init__(
        self, asked: Asked, method: type[Solved], facts: Facts, start: Encoder | None
    ) -> None:
        if facts.count < 2:
            raise DataError(
                f"{facts.count} image is too few: an encoder learns by comparing images\n"
                "  fix: name a source of at least 2, better some hundreds"
            )
        self.sampling = method.sampling
        self.choices: list[Choice] = []
        self.method, self.seed = asked.method, asked.seed
        self.size = self._size(asked, facts, start)
        self.mean, self.std = (start.mean, start.std) if start else ((0.0,) * 3, (1.0,) * 3)
        self.plan = self._plan(asked, method)
        arguments = dict(asked.method_arguments or {})
        for name, (value, reason) in method.fit(facts.count, facts.side, self.size).items():
            if name not in arguments and start is None:
                arguments[name] = value
                self.choices.append(Choice(f"method.{name}", value, reason))
        self.arguments = arguments
        try:
            self.solver = method(**arguments)
        except (TypeError, ValueError) as problem:
            raise UsageError(f"--method {self.method}: {problem}") from problem
        features = started(start)
        self.network = features[1:] if features else self.solver.network
        self.solver.views = self.plan  # type: ignore[misc]  # this one's own

    def _size(self, asked: Asked, facts: Facts, start: Encoder | None) -> int:
        if asked.size is not None:
            return asked.size
        if start is not None:
            size, reason = start.size, "as the encoder it starts from"
        else:
            size = min(max(facts.side, 16), LARGEST_SIDE)
            reason = f"the images are {facts.side} px; at most {LARGEST_SIDE}"
        self.choices.append(Choice("size", size, reason))
        return size

    def _plan(self, asked: Asked, method: type[Solved]) -> Plan:
        if asked.views is None:
            plan = method.views
            self.choices.append(Choice("views", plan.name, "the method's"))
        else:
            plan = PLANS[asked.views]
        if len(plan.views) < 2 and not (method.needs_labels or method.takes_pairs):
            raise UsageError(
                f"--views {plan.name} makes one view\n  fix: a plan of two, such as solved"
            )
        try:
            return plan.with_(**(asked.views_arguments or {}))
        except ValueError as problem:
            raise UsageError(f"--views: {problem}") from problem

    def record(self) -> dict[str, Any]:
        """Return the settings as run.json holds them; what gradients need is none."""
        views = [asdict(view) for view in self.plan.views]
        return {
            "method": self.method,
            "method_arguments": self.arguments,
            "backbone": self.network[0],
            "backbone_arguments": self.network[1],
            "views": {"name": self.plan.name, "normalise": False, "views": views},
            "size": self.size,
            "seed": self.seed,
            "epochs": 0,
            "batch_size": None,
            "precision": "float32",
            "mean": self.mean,
            "std": self.std,
        }


class Solving(Running):
    """A run whose encoder is solved for.

    Args:
        folder: of the run.
        images: to solve for.
        settings: all of them.
        method: the solved encoder's class.
        here: the processes that share the work.
        start: the encoder whose vectors are the features, if any.
        progress: what a person sees.
    """

    def __init__(
        self,
        folder: RunFolder,
        images: Collection,
        settings: Settings,
        method: type[Solved],
        here: World,
        *,
        start: Encoder | None,
        progress: Progress,
    ) -> None:
        super().__init__(folder, images, settings, method, here, start=start, progress=progress)
        self.solution = settings

    def _prepare(self) -> Callable[[], Encoder]:
        return partial(
            solve_encoder,
            self.solution,
            self.images,
            start=self.start,
            here=self.here,
            parts=self.folder.path / "parts",
            progress=self.progress,
        )


def solve_encoder(
    settings: Settings,
    images: Collection,
    *,
    start: Encoder | None,
    here: World,
    parts: Path,
    progress: Progress,
) -> Encoder:
    """Return the encoder; what an earlier process solved of it is not solved again.

    Args:
        settings: of the solution.
        images: to solve for.
        start: the encoder whose vectors are the features, if any.
        here: the processes that share the work.
        parts: folder in which solved parts are kept.
        progress: what a person sees.

    Raises:
        PreemptedError: a signal asked to stop; the parts that are solved are saved.
        DataError: the images tell nothing, or too many cannot be read any more.
    """
    with StopRequest() as stop:
        pictures = PicturesOfRun(
            images.images,
            images.resident,
            pairs=alike_pairs(images.told.pairs),
            size=settings.size,
            mean=settings.mean,
            std=settings.std,
            seed=settings.seed,
            world=here,
            folder=parts,
            progress=progress,
            stop=stop,
            max_pixels=images.found.max_pixels,
            quarantine=images.found.quarantine,
        )
        found = settings.solver.solve(pictures, started(start))
    images.found.quarantine.raise_if_above(images.found.max_unreadable)
    return Encoder(
        found.backbone.eval(),
        size=settings.size,
        mean=settings.mean,
        std=settings.std,
        name=found.name,
        arguments=found.arguments,
    )


def alike_pairs(pairs: Pairs | None) -> Tensor | None:
    """Return the (P, 2) positions of the pairs that are alike."""
    if pairs is None:
        return None
    both = torch.stack([torch.from_numpy(pairs.first), torch.from_numpy(pairs.second)], dim=1)
    return both[torch.from_numpy(pairs.same)]


def started(encoder: Encoder | None) -> Solution | None:
    """Return an encoder as features to start from, a projection on them left out."""
    if encoder is None:
        return None
    if encoder.name != "embedding":
        return Solution(encoder.backbone, encoder.name, dict(encoder.arguments))
    arguments = dict(encoder.arguments)
    name = arguments.pop("backbone")
    del arguments["widths"]
    arguments.pop("hidden", None)
    inner = encoder.backbone.backbone
    return Solution(inner, name, arguments)  # type: ignore[arg-type]
