"""A run as every kind of it goes: recorded, gone on with, announced, learnt, measured."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from PIL import Image

from lookalike.durable import write_atomically
from lookalike.errors import PreemptedError, UsageError
from lookalike.inference import Encoder
from lookalike.methods.base import Method
from lookalike.runs.collection import Collection
from lookalike.runs.measuring import measure
from lookalike.solved.base import Solved
from lookalike.training.allocator import keep_freed_memory
from lookalike.training.distributed import World
from lookalike.training.progress import Progress
from lookalike.training.run_folder import Choice, Run, RunFolder, differences
from lookalike.views.picture import views_picture
from lookalike.views.plans import Plan

PICTURED = 6
"""Images in the picture of the views."""


class Settings(Protocol):
    """What every kind of run settles: how images are seen, and what is written down."""

    @property
    def plan(self) -> Plan:
        """The views."""

    @property
    def size(self) -> int:
        """Side of a view in pixels."""

    @property
    def seed(self) -> int:
        """Of everything that is random."""

    @property
    def sampling(self) -> str:
        """How batches are drawn."""

    @property
    def choices(self) -> Sequence[Choice]:
        """What the user left open, and why it became what it is."""

    def record(self) -> dict[str, Any]:
        """Return the settings as run.json holds them."""


class Running:
    """A run, from its settings to its report's numbers; see `Descent` and `Solving`.

    Args:
        folder: of the run.
        images: to train on.
        settings: all of them.
        method: the training scheme.
        here: the processes that share the work.
        start: the encoder that it starts from, if any.
        progress: what a person sees.
    """

    def __init__(
        self,
        folder: RunFolder,
        images: Collection,
        settings: Settings,
        method: type[Method] | type[Solved],
        here: World,
        *,
        start: Encoder | None,
        progress: Progress,
    ) -> None:
        self.folder = folder
        self.images = images
        self.settings = settings
        self.method = method
        self.here = here
        self.progress = progress
        self.start = start
        self.choices = list(settings.choices)
        self.record: dict[str, Any] = {
            **settings.record(),
            **images.told.record(),
            "processes": here.size,
        }
        if start is not None:
            self.record["start"] = start.fingerprint()

    def _prepare(self) -> Callable[[], Encoder]:
        """Return what learns the encoder, once everything is built."""
        raise NotImplementedError

    def finished(self, *, allow_changes: bool) -> bool:
        """Whether the folder holds this very run, done.

        Raises:
            UsageError: it holds a run of other settings.
        """
        if not (self.folder.path / "run.json").is_file():
            return False
        known = Run(self.folder.path)
        config, status = known.config, known.status
        changes = differences(config, self.record)
        if changes and not (allow_changes and status != "done"):
            table = "\n".join(f"    {name}: {old} -> {new}" for name, old, new in changes)
            raise UsageError(
                f"{self.folder.path} holds a run of other settings; nothing was touched\n{table}\n"
                "  fix: another --out | the same settings, to go on | --overwrite, to start anew"
                + ("" if status == "done" else " | --allow-changes, to go on with these")
            )
        if status == "done":
            self.progress.say(f"{self.folder.path} is finished with these settings: nothing to do")
            return True
        if config.get("processes", 1) != self.here.size:
            self.progress.say(
                f"warning: begun with {config['processes']} processes, goes on with "
                f"{self.here.size}: the same images in every step, but not the same to the last bit"
            )
        return False

    def run(self, *, evaluate: bool) -> None:
        """Train to the end, then write the encoder and, if wanted, its numbers and gallery."""
        began, ended = time.monotonic(), "failed"
        if self.here.device.type == "cpu":
            keep_freed_memory()
        learn = self._prepare()  # what it refuses leaves no run behind
        try:
            if self.here.leads:
                self._announce()
            encoder = learn()
            if self.here.leads:
                encoder.save(self.folder.model)
                shutil.rmtree(self.folder.path / "parts", ignore_errors=True)  # all is in the model
                if evaluate:
                    measure(
                        encoder,
                        self.images.found,
                        start=self.start,
                        folder=self.folder,
                        progress=self.progress,
                    )
            ended = "done"
        except PreemptedError:
            ended = "preempted"
            raise
        finally:
            if self.here.leads:
                self.folder.finish(ended, time.monotonic() - began)

    def _announce(self) -> None:
        """Write run.json and the picture of the views; say what was chosen, and why."""
        say, choices = self.progress.say, self.choices
        settings, images = self.settings, self.images
        name = (
            torch.cuda.get_device_name(self.here.device) if self.here.device.type == "cuda" else ""
        )
        self.folder.start(self.record, choices, name or str(self.here.device))
        unreadable = len(images.found.quarantine)
        listed = f", {unreadable:,} unreadable (listed in unreadable.csv)" if unreadable else ""
        told = images.told.in_words(settings.sampling, self.method)
        say(f"data     {len(images.images):,} images from {images.found.spec}{told}{listed}")
        width = max((len(choice.name) for choice in choices), default=0)
        for number, choice in enumerate(choices):
            start = "chosen" if number == 0 else ""
            value = f"{choice.value:g}" if isinstance(choice.value, float) else choice.value
            say(f"{start:8} {choice.name:{width}} {value}  ({choice.reason})")
        picture = self.folder.path / "views.png"
        if not picture.exists():
            content = io.BytesIO()
            self._picture().save(content, format="PNG")
            write_atomically(picture, content.getvalue())

    def _picture(self) -> Image.Image:
        """Return the picture of the views that training sees, of a few images."""
        size, seed = self.settings.size, self.settings.seed
        pixels, sizes = map(torch.from_numpy, self.images.shown(PICTURED, size=size, seed=seed))
        index, plan = torch.arange(len(pixels)), self.settings.plan
        return views_picture(plan, pixels, sizes, index, size=size, seed=seed, count=len(pixels))
