"""A model card: what an encoder takes and gives, its data, its numbers and where they are from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lookalike.evaluation.card import ROWS
from lookalike.evaluation.verdict import BASELINES
from lookalike.formats.agreement import Agreement
from lookalike.inference import Encoder
from lookalike.training.run_folder import Run

_PREPARED = {
    "onnx": "The file does it itself",
    "torch": "The file does it itself",
    "safetensors": "`lookalike.load(...).encode` does it",
    "huggingface": "timm's transform does it, but for pictures that are not square, which it "
    "resizes before it cuts them",
}
_COLUMNS = {"": "encoder"} | {f"{key}_": name for key, (name, _) in BASELINES.items()}


@dataclass(frozen=True)
class _Measured:
    """A table of numbers.

    columns: its heads.
    rows: (what is measured, a cell a column).
    notes: how the numbers came about, in lines.
    """

    columns: list[str]
    rows: list[tuple[str, list[str]]]
    notes: list[str]


def model_card(
    encoder: Encoder, *, to: str, name: str, agreement: Agreement, run: Run | None
) -> str:
    """Return a model card in Markdown. It states what files say and names them, and no more.

    Args:
        encoder: what was exported.
        to: the format.
        name: of what was written.
        agreement: how near that is to the original.
        run: where data, method and numbers are taken from, if it is known.
    """
    environment = Environment(  # noqa: S701  Markdown, not HTML
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    fingerprint = encoder.fingerprint()
    measured, unmeasured = _measured(run, fingerprint)
    return environment.get_template("card.md").render(
        encoder=encoder,
        to=to,
        name=name,
        agreement=agreement,
        prepared=_PREPARED[to],
        fingerprint=fingerprint,
        version=version("lookalike"),
        training=_training(run),
        measured=measured,
        unmeasured=unmeasured,
        inherited=_inherited(encoder, run),
    )


def _training(run: Run | None) -> list[tuple[str, str]]:
    """Return what run.json says of the data and the method; of paths only the last part."""
    if run is None:
        return []
    resolved = run.config
    source = PurePath(str(resolved.get("source"))).name
    split = resolved.get("split")
    arguments = resolved.get("method_arguments") or {}
    method = ", ".join(
        [str(resolved.get("method")), *(f"{name} {value}" for name, value in arguments.items())]
    )
    values = {
        "images": f"{resolved.get('images', 0):,} of {source}{f', split {split}' if split else ''}",
        "unreadable, left out": resolved.get("unreadable") or None,
        "classes": len(resolved["classes"]) if resolved.get("classes") else None,
        "sha256 of the images": resolved.get("images_sha256"),
        "method": method,
        "started from": PurePath(str(resolved["from"])).name if resolved.get("from") else None,
        "epochs": resolved.get("epochs"),
        "batch": resolved.get("batch_size"),
        "optimizer": resolved.get("optim"),
        "seed": resolved.get("seed"),
        "ended": run.status,
    }
    return [(name, _cell(value)) for name, value in values.items() if value is not None]


def _measured(run: Run | None, fingerprint: str) -> tuple[_Measured | None, str]:
    """Return the scorecard of a run, or none and why."""
    if run is None:
        return None, "Nothing is known: it was exported without its run."
    try:
        scores = run.evaluation
    except ValueError:
        return None, "Nothing: the run's `evaluation.json` is damaged."
    if scores is None:
        return None, "Nothing: the run has no `evaluation.json`, which `lookalike evaluate` writes."
    if scores.get("fingerprint") != fingerprint:
        return None, "Nothing: the run's `evaluation.json` is of another encoder."
    return _table(scores), ""


def _table(scores: Mapping[str, Any]) -> _Measured:
    columns = {prefix: head for prefix, head in _COLUMNS.items() if f"{prefix}dim" in scores}
    rows = []
    for field, (title, show) in ROWS.items():
        values = [scores.get(f"{prefix}{field}") for prefix in columns]
        if any(value is not None for value in values):
            cells = ["-" if value is None else show.format(value) for value in values]
            rows.append((title, cells))
    notes = [
        f"Asked about {scores['query_images']:,} images of {_cell(scores['source'])}; "
        f"{_cell(scores['protocol'])}; seed {scores['seed']}."
    ]
    if scores.get("k") and scores.get("knn_top1_ci95"):
        low, high = scores["knn_top1_ci95"]
        notes.append(
            f"kNN: k = {scores['k']}, temperature {scores['temperature']:g}; the encoder's 95 % "
            f"interval is {low:.1%} to {high:.1%}."
        )
    notes.append("From `evaluation.json` of the run, which `lookalike evaluate` wrote.")
    return _Measured(list(columns.values()), rows, notes)


def _inherited(encoder: Encoder, run: Run | None) -> str:
    """Return whose terms come with the weights, if training did not start from scratch."""
    if encoder.arguments.get("pretrained"):
        name = encoder.arguments.get("backbone", encoder.name)
        return f"Training started from the weights that timm publishes for {name}: see theirs, too."
    if run is not None and run.config.get("from"):
        return "Training started from another encoder: see its licence, too."
    return ""


def _cell(value: Any) -> str:
    """Return a value as text that stays in its cell of a table."""
    return " ".join(str(value).split()).replace("|", "\\|")
