"""Teachers, by their names: a run, a model folder, one of timm's, or somebody's own code."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lookalike import registry
from lookalike.errors import UsageError
from lookalike.inference import load_encoder
from lookalike.methods.base import Classifies, Method
from lookalike.names import shown
from lookalike.nn.teacher import Teacher
from lookalike.runs.asked import Asked
from lookalike.runs.building import load_method
from lookalike.training.run_folder import Run


@dataclass(frozen=True)
class Taught:
    """The teachers of a run, and how they see pictures.

    Attributes:
        teachers: in the order they were named.
        size: side in pixels of what they were trained on; None where it is not known.
        mean: (3,) that they take out of the channels.
        std: (3,) that they divide the channels by.
        classes: names of what they tell apart; empty where not known.
        digest: sha256 of all their weights.
    """

    teachers: tuple[Teacher, ...]
    size: int | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    classes: tuple[str, ...]
    digest: str


class _Answers(nn.Module):
    """A backbone and its classifier; layers are named backbone.* as in the run."""

    def __init__(self, backbone: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.backbone(images))
        return logits


def choose_teachers(asked: Asked, method: type[Method], classes: Sequence[str]) -> Taught | None:
    """Return the teachers that were asked for, if the method learns from any.

    Args:
        asked: of `lookalike.train`.
        method: the training scheme.
        classes: that the labels of the source name.

    Raises:
        UsageError: there is none where one is needed, one where none is, or it tells other classes
            apart than the labels.
    """
    given = asked.teacher
    named = (given,) if isinstance(given, str | Path) else tuple(given)
    if bool(named) != (method.needs_teacher is not None):
        wanted = "needs a teacher" if not named else "learns from no teacher"
        fix = "--teacher RUN" if not named else "leave out --teacher, or --method distillation"
        raise UsageError(f"--method {asked.method} {wanted}\n  fix: {fix}")
    if not named:
        return None
    taught = load_teachers(
        named, method=method, download=asked.download, trust_code=asked.trust_code
    )
    if taught.classes and classes and tuple(classes) != taught.classes:
        theirs, ours = (shown(", ".join(each[:5])) for each in (taught.classes, classes))
        raise UsageError(
            f"--teacher {named[0]} tells {len(taught.classes)} classes apart ({theirs}, ...), and "
            f"{asked.source} names {len(classes)} ({ours}, ...)\n"
            "  fix: a teacher that was trained on these classes"
        )
    return taught


def load_teachers(
    named: Sequence[str | Path],
    *,
    method: type[Method],
    download: bool,
    trust_code: bool = False,
) -> Taught:
    """Return the teachers of a run, frozen.

    Args:
        named: of each a run folder; for a method that learns vectors also a model folder;
            timm:NAME with its published weights; or mine.py:make_network, whose network sees
            pictures as the student does.
        method: what they are for: says whether they tell classes or vectors.
        download: whether timm may fetch weights that are not here yet.
        trust_code: whether a run or model folder may need the code of a file or package that it
            names; code that is itself named here is the caller's.

    Raises:
        UsageError: one is not there, tells no classes where they are wanted, sees pictures
            otherwise than the first, or needs code that is not trusted.
    """
    found = [_load(str(name), method, download=download, trust_code=trust_code) for name in named]
    first = found[0]
    for name, other in zip(named, found, strict=True):
        for what in ("size", "mean", "std", "classes"):
            if getattr(other, what) != getattr(first, what):
                raise UsageError(
                    f"--teacher {name}: its {what} {getattr(other, what)} is not that of "
                    f"{named[0]}, {getattr(first, what)}, and both see one picture\n"
                    "  fix: teachers that were trained on the same source, size and classes"
                )
    digest = hashlib.sha256("".join(each.digest for each in found).encode()).hexdigest()
    teachers = tuple(each.teachers[0] for each in found)
    return Taught(teachers, first.size, first.mean, first.std, first.classes, digest)


def _load(name: str, method: type[Method], *, download: bool, trust_code: bool) -> Taught:
    if name.startswith("timm:"):
        return _published(name, method, download=download)
    if ":" in name and not Path(name).exists():
        network = registry.load(registry.locate("methods", name))()
        return _taught(network, 32, name, None)
    if method.needs_teacher == "vectors":
        encoder = load_encoder(name, device="cpu", trust_code=trust_code)
        return _taught(encoder.backbone, encoder.size, name, (encoder.mean, encoder.std))
    taught, config = load_method(name, trust_code=trust_code), Run(name).config
    if not isinstance(taught, Classifies):
        raise UsageError(
            f"--teacher {name} is a run of {config['method']}, which tells no classes apart\n"
            "  fix: a run of --method supervised; or --method embedding_distillation, which learns "
            "from any encoder"
        )
    answers = _Answers(taught.backbone, taught.classifier)
    prepared = (tuple(config["mean"]), tuple(config["std"]))
    return _taught(answers, config["size"], name, prepared, tuple(config["classes"]))


def _published(name: str, method: type[Method], *, download: bool) -> Taught:
    import timm  # noqa: PLC0415  takes seconds, and few name a teacher so

    model = name.removeprefix("timm:")
    if not timm.is_model(model.partition(".")[0]):
        raise UsageError(f"--teacher {name}: timm has no model {model}")
    if not download:
        raise UsageError(
            f"--teacher {name}: its weights may have to be fetched\n  fix: add --download"
        )
    network: Any = timm.create_model(model, pretrained=True)
    if method.needs_teacher == "vectors":
        network.reset_classifier(0)
    told = network.pretrained_cfg
    prepared = (tuple(told["mean"]), tuple(told["std"]))
    return _taught(network, told["input_size"][-1], name, prepared)


def _taught(
    network: nn.Module,
    size: int,
    name: str,
    prepared: tuple[tuple[float, ...], tuple[float, ...]] | None,
    classes: tuple[str, ...] = (),
) -> Taught:
    if not isinstance(network, nn.Module):
        raise UsageError(f"--teacher {name} makes a {type(network).__name__}, not a torch module")
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(key.encode())
        digest.update(content.numpy().data)
    mean, std = prepared or (None, None)
    known = size if prepared else None
    teacher = Teacher(network, size=size, name=name)
    return Taught((teacher,), known, mean, std, classes, digest.hexdigest())
