"""A run whose encoder is learnt by gradients: the method built, its loop, its teachers' answers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lookalike import registry
from lookalike.inference import Encoder
from lookalike.methods.base import Method
from lookalike.nn.synchronized_batch_norm import synchronize_batch_norm
from lookalike.runs.building import build_method
from lookalike.runs.collection import Collection
from lookalike.runs.defaults import Resolved
from lookalike.runs.kept_answers import KeptAnswers
from lookalike.runs.running import Running
from lookalike.runs.teachers import Taught
from lookalike.training.batches import Viewing
from lookalike.training.distributed import World
from lookalike.training.loop import Loop, Pace
from lookalike.training.monitors import Monitors
from lookalike.training.progress import Progress
from lookalike.training.run_folder import Choice, RunFolder
from lookalike.training.schedule import warmup_cosine

WATCHED = 1024
"""Images that the monitors look at: enough for the rank of a 512-wide representation."""


class Descent(Running):
    """A run whose encoder is learnt by gradients.

    Args:
        folder: of the run.
        images: to train on.
        settings: all of them.
        method: the training scheme.
        here: the processes that share the work.
        start: the encoder that it starts from, if any.
        taught: the teachers that it learns from, if any.
        progress: what a person sees.
    """

    def __init__(
        self,
        folder: RunFolder,
        images: Collection,
        settings: Resolved,
        method: type[Method],
        here: World,
        *,
        start: Encoder | None,
        taught: Taught | None,
        progress: Progress,
    ) -> None:
        super().__init__(folder, images, settings, method, here, start=start, progress=progress)
        self.resolved = settings
        self.teachers = taught.teachers if taught else ()
        self.steps_an_epoch = images.steps_an_epoch(settings.drawn, seed=settings.seed)
        if start is not None:
            self.mean, self.std = start.mean, start.std
        elif taught is not None and taught.mean and taught.std:
            self.mean, self.std = taught.mean, taught.std
        else:
            self.mean, self.std = images.found.pixel_statistics(settings.plan, size=settings.size)
        self.record |= {"mean": self.mean, "std": self.std}
        if taught is not None:
            self.record["teachers"] = taught.digest

    def _prepare(self) -> Callable[[], Encoder]:
        """Return what learns the encoder, once everything is built."""
        method = self._build()
        kept, choices = self._kept(method)
        self.choices = [*self.choices, *choices]

        def learn() -> Encoder:
            if kept is not None:
                workers = self.resolved.workers
                kept.give(self.images, self._viewing(), workers=workers, progress=self.progress)
            self._loop(method).run()
            return self._encoder(method)

        return learn

    def _build(self) -> Method:
        settings, here = self.resolved, self.here
        torch.manual_seed(settings.seed)  # one initialisation on every process
        method = build_method(self.record, start=self.start, teachers=self.teachers)
        method = method.to(here.device)
        method = method.to(memory_format=torch.channels_last)
        if here.size > 1:
            synchronize_batch_norm(method)
        torch.manual_seed(settings.seed * 1_000_003 + here.rank + 1)  # dropout differs
        return method

    def _kept(self, method: Method) -> tuple[KeptAnswers | None, list[Choice]]:
        """Return the table of the teachers' answers, if there shall be one, and why."""
        if not self.teachers:
            return None, []
        kept = KeptAnswers(self.folder.path, self.teachers, self.record)
        wanted, choice = kept.choose(method, self._viewing(), epochs=self.resolved.epochs)
        return (kept if wanted else None), [choice]

    def _viewing(self) -> Viewing:
        settings = self.resolved
        return Viewing(
            plan=settings.plan,
            size=settings.size,
            batch_size=settings.batch_size,
            seed=settings.seed,
            mean=self.mean,
            std=self.std,
            world=self.here,
            order=settings.drawn.order,
        )

    def _loop(self, method: Method) -> Loop:
        settings, here = self.resolved, self.here
        steps = settings.epochs * self.steps_an_epoch
        warmup = min(round(settings.warmup_epochs * self.steps_an_epoch), steps)
        make = registry.load(registry.locate("training.optim", settings.optim))
        pace = Pace(
            epochs=settings.epochs,
            steps_an_epoch=self.steps_an_epoch,
            batch_size=settings.batch_size,
            rate_share=lambda step: warmup_cosine(step, steps=steps, warmup=warmup, base=1.0),
            precision=getattr(torch, settings.precision),
            accumulate=settings.accumulate,
            compile=settings.compile,
            save_every=settings.save_every,
            log_every=settings.log_every,
            monitor_every=settings.monitor_every,
        )
        monitors = None
        if here.leads:
            squares, watched = self.images.found.squares(
                WATCHED, size=settings.size, seed=settings.seed
            )
            monitors = Monitors(
                torch.from_numpy(squares).to(here.device),
                watched.labels,
                settings.plan,
                seed=settings.seed,
                mean=self.mean,
                std=self.std,
            )
        loop = Loop(
            method,
            make(method, method.constant_rate, **settings.optim_arguments),
            self.images.batches(self._viewing(), workers=settings.workers),
            monitors,
            pace=pace,
            folder=self.folder,
            world=here,
            progress=self.progress,
        )
        if loop.resume():
            self.progress.say(
                f"resuming at step {loop.step:,} of {pace.steps:,}: the result will be that of an "
                "uninterrupted run"
            )
        return loop

    def _encoder(self, method: Method) -> Encoder:
        settings = self.resolved
        kept, name, arguments = method.encoder(settings.backbone, settings.backbone_arguments)
        return Encoder(
            kept,
            size=self.images.picture_size(settings.size),
            mean=self.mean,
            std=self.std,
            name=name,
            arguments=arguments,
        )
