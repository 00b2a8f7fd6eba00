"""The main job: a source of images in, a run folder with an encoder and its numbers out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image

from lookalike import registry
from lookalike.data.decode import MAX_PIXELS
from lookalike.durable import write_atomically
from lookalike.errors import PreemptedError, UsageError
from lookalike.inference import Encoder
from lookalike.judging.gallery import make_gallery
from lookalike.judging.scorecard import score
from lookalike.methods.base import ComparesProjections, Method
from lookalike.nn.synchronized_batch_norm import synchronize_batch_norm
from lookalike.runs.building import build_method, start_from
from lookalike.runs.collection import Collection, collect
from lookalike.runs.defaults import Resolved, resolve
from lookalike.runs.kept_answers import KeptAnswers
from lookalike.runs.sampling import needs_labels, refuse_beside_pairs
from lookalike.runs.solving import Settings, refuse_descent, solve_encoder
from lookalike.runs.teachers import Taught, choose_teachers
from lookalike.solved.base import Solved
from lookalike.training.allocator import keep_freed_memory
from lookalike.training.batches import Viewing
from lookalike.training.distributed import World, world
from lookalike.training.loop import Loop, Pace
from lookalike.training.monitors import Monitors
from lookalike.training.progress import Progress
from lookalike.training.run_folder import Choice, Run, RunFolder, differences
from lookalike.training.schedule import warmup_cosine
from lookalike.views.picture import views_picture

PICTURED = 6
"""Images in the picture of the views."""

WATCHED = 1024
"""Images that the monitors look at: enough for the rank of a 512-wide representation."""


def train(
    source: str | Path,
    *,
    out: str | Path | None = None,
    method: str = "simclr",
    backbone: str | None = None,
    loss: str | None = None,
    student: str | None = None,
    from_: str | Path | None = None,
    from_layer: str | None = None,
    teacher: tuple[str | Path, ...] | str | Path = (),
    views: str | None = None,
    optim: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    sampling: Literal["shuffled", "classes", "identities"] | None = None,
    images_per_class: int | None = None,
    pairs: str | Path | None = None,
    pairs_balanced: bool | None = None,
    size: int | None = None,
    seed: int = 0,
    base_lr: float | None = None,
    lr_scaling: Literal["linear", "square_root", "none"] | None = None,
    warmup_epochs: float | None = None,
    accumulate: int = 1,
    limit: int | None = None,
    labels: float = 1.0,
    workers: int | None = None,
    resident_mb: int = 1024,
    device: str = "auto",
    precision: Literal["auto", "bfloat16", "float32"] = "auto",
    compile: bool = False,
    save_every: float = 60.0,
    log_every: int = 10,
    monitor_every: int | None = None,
    max_unreadable: float = 0.01,
    max_pixels: int = MAX_PIXELS,
    download: bool = False,
    allow_changes: bool = False,
    overwrite: bool = False,
    trust_code: bool = False,
    evaluate: bool = True,
    quiet: bool = False,
    method_arguments: Mapping[str, Any] | None = None,
    backbone_arguments: Mapping[str, Any] | None = None,
    loss_arguments: Mapping[str, Any] | None = None,
    student_arguments: Mapping[str, Any] | None = None,
    views_arguments: Mapping[str, Any] | None = None,
    optim_arguments: Mapping[str, Any] | None = None,
) -> Run:
    """Train an encoder on images; the same call again goes on after an interruption.

    Args:
        source: images: a folder, archive, `.npz`, table or known name.
        out: run folder; none: runs/SOURCE-METHOD.
        method: training scheme, by name, or mine.py:MyMethod.
        backbone: resnet18, resnet34, resnet50, small_conv, patches, any timm model, or
            mine.py:MyNet; none: one that fits the method, the images and the machine.
        loss: of a method that takes any, such as metric: triplet, supcon, ..., or
            mine.py:my_loss; none: the method's.
        student: of a method that trains a teacher for one, such as sftn: the backbone of the
            student to come; none: the method's.
        from_: run, or model folder, whose encoder training starts from.
        from_layer: of that run's head the last layer to start with, such as "projector 1"; none:
            only what the run keeps.
        teacher: of a method that learns from one: a run, a model folder, timm:NAME or
            mine.py:make_network; several with commas.
        views: plan of views, by name; none: the method's for images of this size.
        optim: sgd, lars or adamw; none: the method's.
        epochs: times every image is seen; none: as fits the images and the machine.
        batch_size: images a step, over all processes; none: as fits the images and the machine.
        sampling: what batches are drawn from: all images alike, some images of each of some
            classes, or many of a few identities among others; none: the method's.
        images_per_class: images of each class in a batch; none: the method's.
        pairs: table of path_a, path_b and same, or LFW's pairs.txt, that says which images are
            alike, for a method that takes pairs, such as drlim.
        pairs_balanced: draw alike pairs and others in turn, not every pair once; none: in turn.
        size: side of a training view in pixels; none: as fits the images and the machine.
        seed: of everything that is random.
        base_lr: learning rate before it is scaled by the batch; none: the method's.
        lr_scaling: linear is base * B / 256, square_root is base * sqrt(B); none: the method's.
        warmup_epochs: epochs in which the learning rate rises; none: the method's.
        accumulate: parts in which a batch is projected, to save memory; the loss stays exact.
        limit: train on so many of the images, drawn with the seed; none: on all.
        labels: share of each class's labels that training may see, drawn with the seed.
        workers: processes that decode large images; none: one a core.
        resident_mb: megabytes of decoded images to keep in memory at most.
        device: auto, cpu, cuda or cuda:1.
        precision: of matrix products; auto: bfloat16 where the machine is fast at it.
        compile: compile the method first; pays on a GPU and on long runs.
        save_every: seconds between checkpoints.
        log_every: steps between rows of metrics.jsonl.
        monitor_every: epochs between readings of the collapse monitors; none: 20 in all.
        max_unreadable: share of images that may be unreadable before the run stops.
        max_pixels: pixels above which an image is refused before it is decoded.
        download: fetch a known set that is not here yet.
        allow_changes: go on with a run although its settings changed.
        overwrite: delete what the run folder holds and start anew.
        trust_code: let the run to start from and the teachers need code that they name.
        evaluate: measure the encoder at the end, beside raw pixels and an untrained network.
        quiet: print nothing; log.txt in the run folder has it all the same.
        method_arguments: of the method, by name.
        backbone_arguments: of the backbone, by name.
        loss_arguments: of the loss, by name.
        student_arguments: of the student's backbone, by name.
        views_arguments: fields of every view in the plan, by name.
        optim_arguments: of the optimizer, by name.

    Returns:
        The finished run.

    Raises:
        UsageError: an argument cannot be, or the run folder holds a run of other settings.
        DataError: there are too few images, or too many that cannot be read.
        TrainingError: representations collapsed, or a loss was not finite.
        PreemptedError: a signal asked to stop; everything is saved.
        LookalikeError: no space is left.
    """
    asked = dict(locals())  # the arguments, by name: before anything else is
    method_class: type[Method] | type[Solved] = registry.load(registry.locate("methods", method))
    if issubclass(method_class, Solved):
        refuse_descent(asked)
    elif accumulate > 1 and not issubclass(method_class, ComparesProjections):
        raise UsageError(
            f"--accumulate {accumulate}: {method} needs its whole batch at once\n"
            "  fix: a smaller --batch-size"
        )
    refuse_beside_pairs(asked, method_class)
    folder = RunFolder(
        Path(out) if out else Path("runs") / f"{Path(source).stem}-{method.partition('.')[0]}"
    )
    with closing(folder), world(device) as here:
        if here.leads:
            folder.open(overwrite=overwrite)
        here.wait()
        log = folder.path / "log.txt" if here.leads else None
        with Progress(log, printing=here.leads and not quiet) as progress:
            images = collect(
                source,
                download=download,
                limit=limit,
                seed=seed,
                resident_bytes_allowed=resident_mb * 2**20,
                max_pixels=max_pixels,
                max_unreadable=max_unreadable,
                listing=folder.path / f"unreadable{'' if here.leads else f'.{here.rank}'}.csv",
                progress=progress,
            )
            if labels != 1.0:
                images.hide_labels(labels, seed=seed, listing=folder.path / "labelled.csv")
            if pairs is not None:
                images.read_pairs(Path(pairs))
            elif needs_labels(sampling, method_class):
                images.keep_labelled()
            with registry.given(tuple(asked.values())):
                start = (
                    start_from(from_, layer=from_layer, trust_code=trust_code) if from_ else None
                )
            job: _Job
            if issubclass(method_class, Solved):
                solved = Settings(asked, method_class, images.facts, start)
                job = _Solution(
                    folder, images, solved, method_class, here, start=start, progress=progress
                )
            else:
                with registry.given(tuple(asked.values())):
                    taught = choose_teachers(asked, method_class, images.images.class_names)
                settings = resolve(
                    asked, method_class, images.facts, here.device, start, taught=taught
                )
                if method_class.seed_patches:
                    images.cut_patches(settings.size, seed=seed, progress=progress)
                job = _Descent(
                    folder,
                    images,
                    settings,
                    method_class,
                    here,
                    start=start,
                    taught=taught,
                    progress=progress,
                )
            if from_:
                job.record["from"] = str(from_)
            if not job.finished(allow_changes=allow_changes):
                job.run(evaluate=evaluate)
    return Run(folder.path)


class _Job:
    """A run, from its settings to its report's numbers."""

    def __init__(
        self,
        folder: RunFolder,
        images: Collection,
        settings: Resolved | Settings,
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
            **images.record(),
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
                if evaluate:
                    self._measure(encoder)
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
        unreadable = len(images.quarantine)
        listed = f", {unreadable:,} unreadable (listed in unreadable.csv)" if unreadable else ""
        told = images.tell_labels(settings.sampling, self.method)
        say(f"data     {len(images.images):,} images from {images.spec}{told}{listed}")
        width = max((len(choice.name) for choice in choices), default=0)
        for number, choice in enumerate(choices):
            start = "chosen" if number == 0 else ""
            value = f"{choice.value:g}" if isinstance(choice.value, float) else choice.value
            say(f"{start:8} {choice.name:{width}} {value}  ({choice.reason})")
        picture = self.folder.path / "views.png"
        if not picture.exists():
            self._picture().save(picture)

    def _picture(self) -> Image.Image:
        """Return the picture of the views that training sees, of a few images."""
        size, seed = self.settings.size, self.settings.seed
        pixels, sizes = map(torch.from_numpy, self.images.shown(PICTURED, size=size, seed=seed))
        index, plan = torch.arange(len(pixels)), self.settings.plan
        return views_picture(plan, pixels, sizes, index, size=size, seed=seed, count=len(pixels))

    def _measure(self, encoder: Encoder) -> None:
        """Write evaluation.json and gallery.npz."""
        self.progress.say("measuring the encoder beside raw pixels and an untrained network")
        card = score(
            encoder,
            self.images.spec,
            trained_on=self.images.source,
            starting=self.start,
            max_unreadable=self.images.max_unreadable,
            max_pixels=self.images.max_pixels,
        )
        content = json.dumps(card.to_json(), indent=2)
        write_atomically(self.folder.path / "evaluation.json", content.encode())
        make_gallery(encoder, card.queries, path=self.folder.path / "gallery.npz")
        for line in card.lines():
            self.progress.say(line)


class _Descent(_Job):
    """A run whose encoder is learnt by gradients."""

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
            self.mean, self.std = images.pixel_statistics(settings.plan, size=settings.size)
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
        peak = settings.optim_arguments["lr"]
        steps = settings.epochs * self.steps_an_epoch
        warmup = min(round(settings.warmup_epochs * self.steps_an_epoch), steps)
        make = registry.load(registry.locate("training.optim", settings.optim))
        pace = Pace(
            epochs=settings.epochs,
            steps_an_epoch=self.steps_an_epoch,
            batch_size=settings.batch_size,
            learning_rate=lambda step: warmup_cosine(step, steps=steps, warmup=warmup, base=peak),
            precision=getattr(torch, settings.precision),
            accumulate=settings.accumulate,
            compile=settings.compile,
            save_every=settings.save_every,
            log_every=settings.log_every,
            monitor_every=settings.monitor_every,
        )
        monitors = None
        if here.leads:
            squares, watched = self.images.squares(WATCHED, size=settings.size, seed=settings.seed)
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


class _Solution(_Job):
    """A run whose encoder is solved for."""

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
