"""Few labels: learn from all images, fine-tune with some labels, teach what came of it.

SimCLRv2, Chen et al. 2020, arXiv:2006.10029, section 2; beside it what the labels alone give, and
pseudo-labels (Lee 2013).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lookalike import registry
from lookalike.data.image_set import ImageSet
from lookalike.data.sources import open_source, splits
from lookalike.durable import write_atomically
from lookalike.errors import UsageError
from lookalike.runs.answers import answer
from lookalike.runs.asked import judge
from lookalike.runs.job import train
from lookalike.training.run_folder import Run

STEPS = ("pretrained", "finetuned", "distilled")
"""Runs of the three steps, folders in one."""

RIVALS = ("alone", "pseudo")
"""Runs to compare with: from the labels alone, and from what that one says of the other images."""


@dataclass(frozen=True, kw_only=True)
class FewLabels:
    """What came of a few labels.

    Attributes:
        source: the images asked about, that no step has seen.
        images: how many.
        labels: images whose labels were used.
        unlabelled: images that were learnt from without one.
        accuracies: share of images that each step's classifier gets right, by its folder.
    """

    source: str
    images: int
    labels: int
    unlabelled: int
    accuracies: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return a table for people."""
        rows = [f"{self.labels:,} labels, {self.unlabelled:,} images without"]
        for name, told in _TOLD.items():
            if name in self.accuracies:
                rows.append(f"  {told:52}{self.accuracies[name]:.1%}")
        return [*rows, f"  right of {self.images:,} images of {self.source} that nothing has seen"]


_TOLD = {
    "alone": "the labels alone",
    "pseudo": "and what that classifier says of the others",
    "finetuned": "learnt without labels, then fine-tuned",
    "distilled": "and taught to a student on all images",
}


def learn_from_few(
    source: str,
    *,
    labels: float,
    out: str | Path,
    epochs: int | None = None,
    fine_epochs: int | None = None,
    teach_epochs: int | None = None,
    layers: int = 3,
    backbone: str | None = None,
    backbone_arguments: Mapping[str, Any] | None = None,
    size: int | None = None,
    batch_size: int | None = None,
    limit: int | None = None,
    temperature: float = 1.0,
    compare: bool = True,
    seed: int = 0,
    trust_code: bool = False,
    quiet: bool = False,
    say: Callable[[str], None] | None = None,
) -> FewLabels:
    """Pretrain on all images, fine-tune with a share of the labels, distil on all images.

    The same call again goes on where it was interrupted, and trains nothing twice.

    Args:
        source: images of which some have labels, with a test split to be judged on.
        labels: share of each class's labels to use, in (0, 1].
        out: folder of the runs.
        epochs: of the pretraining; none: as fits the images and the machine.
        fine_epochs: of the fine-tuning; none: likewise.
        teach_epochs: of the distillation; none: likewise.
        layers: of the pretraining's head, >= 1; fine-tuning starts after its first, if there are
            more (paper: 3).
        backbone: of all runs; none: one that fits the images and the machine.
        backbone_arguments: of the backbone, by name.
        size: side of a view in pixels; none: as fits the images and the machine.
        batch_size: images a step; none: likewise.
        limit: use so many of the images, drawn with the seed; none: all.
        temperature: > 0, that the teacher's answers are softened by (paper: 1).
        compare: train from the labels alone as well, and from pseudo-labels.
        seed: of everything that is random, the choice of labels too.
        trust_code: let runs that are there already need code that they name.
        quiet: print nothing of the runs.
        say: told what begins.

    Raises:
        UsageError: an argument cannot be, or the source has no test split.
    """
    judge(locals())  # before the first of the trainings
    out, say = Path(out), say or (lambda line: None)
    asked = _asked(source)
    shared: dict[str, Any] = {"seed": seed, "limit": limit, "quiet": quiet}
    shared |= {"evaluate": False, "trust_code": trust_code}
    network = {"backbone": backbone, "backbone_arguments": backbone_arguments, "size": size}
    tuned: dict[str, Any] = {"method": "supervised", "labels": labels, "epochs": fine_epochs}
    taught = {"response_weight": 1.0, "label_weight": 0.0, "temperature": temperature}
    distilled = {"method": "distillation", "epochs": teach_epochs, "method_arguments": taught}
    start = {"from_": out / "pretrained", "from_layer": "projector 1" if layers > 1 else None}
    steps: dict[str, dict[str, Any]] = {
        "pretrained": {"method": "simclr", "epochs": epochs, "method_arguments": {"layers": layers}}
        | network,
        "finetuned": tuned | start,
        "distilled": distilled | start | {"teacher": out / "finetuned"},
    }
    if compare:
        steps["alone"] = tuned | network
        first_choices = taught | {"response": "pseudo_label"}
        steps["pseudo"] = distilled | network | {"teacher": out / "alone"}
        steps["pseudo"]["method_arguments"] = first_choices
    accuracies = {}
    runs: dict[str, Run] = {}
    with registry.given(backbone, backbone_arguments):
        for number, (name, settings) in enumerate(steps.items(), 1):
            say(f"step {number} of {len(steps)}: {name}")
            few = settings["method"] == "supervised"  # too few for a batch that others can fill
            batches: dict[str, Any] = {} if few else {"batch_size": batch_size}
            runs[name] = train(source, out=out / name, **shared, **batches, **settings)
            if name != "pretrained":
                logits, truth = answer(runs[name], asked, trust_code=trust_code)
                known = truth >= 0
                accuracies[name] = float((logits.argmax(1) == truth)[known].double().mean())
    used = runs["finetuned"].config["images"]
    found = FewLabels(
        source=asked.name,
        images=int((asked.labels >= 0).sum()),
        labels=used,
        unlabelled=runs["pretrained"].config["images"] - used,
        accuracies=accuracies,
    )
    write_atomically(out / "few_labels.json", json.dumps(found.to_json(), indent=2).encode())
    return found


def _asked(source: str) -> ImageSet:
    """Return the images to judge on: the split that is not train.

    Raises:
        UsageError: there is none, or it has no labels.
    """
    others = [name for name in splits(source) if name not in {"train", "unlabeled"}]
    if not others:
        raise UsageError(
            f"{source} has no split to judge on\n"
            "  fix: folders train and test in it, or a split column in its table"
        )
    asked = open_source(source, split="test" if "test" in others else others[0])
    if not (asked.labels >= 0).any():
        raise UsageError(f"{source} has no labels in its {asked.split} split to judge by")
    return asked
