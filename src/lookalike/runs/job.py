"""The main job: a source of images in, a run folder with an encoder and its numbers out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Literal

import torch

from lookalike import registry
from lookalike.data.decode import MAX_PIXELS
from lookalike.errors import UsageError
from lookalike.methods.base import ComparesProjections, Method
from lookalike.runs.asked import Asked
from lookalike.runs.building import start_from
from lookalike.runs.collection import Collection, cut_patches
from lookalike.runs.defaults import resolve
from lookalike.runs.descent import Descent
from lookalike.runs.readable import collect
from lookalike.runs.running import Running
from lookalike.runs.sampling import needs_labels, refuse_beside_pairs
from lookalike.runs.solving import Settings, Solving, asks_for_descent, refuse_descent
from lookalike.runs.teachers import choose_teachers
from lookalike.runs.told import Told, hide_labels, keep_labelled, pair_up
from lookalike.solved.base import Solved
from lookalike.training.distributed import World, world
from lookalike.training.progress import Progress
from lookalike.training.run_folder import Choice, Run, RunFolder


def train(
    source: str | Path,
    *,
    out: str | Path | None = None,
    method: str | None = None,
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
        method: training scheme, by name, or mine.py:MyMethod; none: one that is solved for in
            seconds where there is no GPU and no setting asks for gradients, else simclr.
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
        evaluate: measure the encoder at the end, beside pixels and an untrained network.
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
    given = dict(locals())  # the arguments, by name: before anything else is
    chosen = choose_method(given) if method is None else None
    asked = Asked(**{**given, "method": chosen.value if chosen else method})
    scheme: type[Method] | type[Solved] = registry.load(registry.locate("methods", asked.method))
    if issubclass(scheme, Solved):
        refuse_descent(asked)
    elif accumulate > 1 and not issubclass(scheme, ComparesProjections):
        raise UsageError(
            f"--accumulate {accumulate}: {asked.method} needs its whole batch at once\n"
            "  fix: a smaller --batch-size"
        )
    refuse_beside_pairs(asked, scheme)
    folder = RunFolder(
        Path(out) if out else Path("runs") / f"{Path(source).stem}-{asked.method.partition('.')[0]}"
    )
    with closing(folder), world(device) as here:
        if here.leads:
            folder.open(overwrite=overwrite)
        here.wait()
        log = folder.path / "log.txt" if here.leads else None
        with Progress(log, printing=here.leads and not quiet) as progress:
            with registry.given(tuple(vars(asked).values())):
                run = _prepared(asked, scheme, folder, here, progress)
            if chosen:
                run.choices.insert(0, chosen)
            if not run.finished(allow_changes=allow_changes):
                run.run(evaluate=evaluate)
    return Run(folder.path)


SOLVED: Final = "view_discriminants"
"""What is solved for where nobody names a method."""


def choose_method(given: Mapping[str, Any]) -> Choice:
    """Return the method of a training that names none, and why.

    Args:
        given: arguments of `train`, by name.
    """
    said = asks_for_descent(given)
    if said:
        return Choice("method", "simclr", f"{said} is for a method that descends a gradient")
    solved = [registry.locate("solved", name) for name in (SOLVED, "patch_dictionary")]
    taken = {option.name for location in solved for option in registry.options(location)}
    if set(given["method_arguments"] or {}) - taken:
        return Choice("method", "simclr", "its arguments go without its name")
    if given["device"].startswith("cuda") or (given["device"] == "auto" and _has_gpu()):
        return Choice("method", "simclr", "there is a GPU")
    if given["pairs"] is not None:
        return Choice("method", "pair_discriminants", "no GPU, and pairs that say what is alike")
    return Choice("method", SOLVED, "no GPU: solved for in seconds; see --method")


def _has_gpu() -> bool:
    return torch.cuda.is_available()


def asked_for(source: str | Path, **settings: Any) -> Asked:
    """Return what `train` would be asked for by these arguments, its defaults among them."""
    bound = inspect.signature(train).bind(source, **settings)
    bound.apply_defaults()
    arguments = bound.arguments
    if arguments["method"] is None:
        arguments["method"] = choose_method(arguments).value
    return Asked(**arguments)


def _prepared(
    asked: Asked,
    scheme: type[Method] | type[Solved],
    folder: RunFolder,
    here: World,
    progress: Progress,
) -> Running:
    """Return the run: images are found, told apart, settled on and laid out, in this order."""
    told = _told(asked, scheme, folder.path, here, progress)
    start = None
    if asked.from_:
        start = start_from(asked.from_, layer=asked.from_layer, trust_code=asked.trust_code)
    run: Running
    if issubclass(scheme, Solved):
        solved = Settings(asked, scheme, told.facts, start)
        images = Collection(told)
        run = Solving(folder, images, solved, scheme, here, start=start, progress=progress)
    else:
        taught = choose_teachers(asked, scheme, told.found.images.class_names)
        settings = resolve(asked, scheme, told.facts, here.device, start, taught=taught)
        images = (
            cut_patches(told, settings.size, seed=asked.seed, progress=progress)
            if scheme.seed_patches
            else Collection(told)
        )
        run = Descent(
            folder, images, settings, scheme, here, start=start, taught=taught, progress=progress
        )
    if asked.from_:
        run.record["from"] = str(asked.from_)
    return run


def _told(
    asked: Asked,
    scheme: type[Method] | type[Solved],
    folder: Path,
    here: World,
    progress: Progress,
) -> Told:
    """Return the images that can be read, with the labels or pairs that training may know."""
    found = collect(
        asked.source,
        download=asked.download,
        limit=asked.limit,
        seed=asked.seed,
        resident_bytes_allowed=asked.resident_mb * 2**20,
        max_pixels=asked.max_pixels,
        max_unreadable=asked.max_unreadable,
        listing=folder / f"unreadable{'' if here.leads else f'.{here.rank}'}.csv",
        progress=progress,
    )
    if asked.labels != 1.0:
        listing = folder / "labelled.csv"
        found = hide_labels(found, asked.labels, seed=asked.seed, listing=listing)
    if asked.pairs is not None:
        return pair_up(found, Path(asked.pairs))
    if needs_labels(asked.sampling, scheme):
        return keep_labelled(found)
    return Told(found=found)
