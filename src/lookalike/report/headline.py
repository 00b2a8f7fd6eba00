"""The top of the page: what was trained on what, how it ended, how good it is beside baselines."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from lookalike import registry
from lookalike.errors import UsageError
from lookalike.evaluation.verdict import BASELINES, tell_verdict
from lookalike.report.charts import number
from lookalike.report.confusion import Confusion
from lookalike.report.reading import RunRecord, is_number
from lookalike.training.progress import duration

STATUSES = {
    "done": "Finished",
    "running": "Still running, or killed",
    "preempted": "Interrupted and saved; the same command goes on",
    "failed": "Stopped by an error",
}


@dataclass(frozen=True)
class Headline:
    """What was trained.

    Args:
        title: method and source in a few words.
        sentence: the whole story in one line.
        status: the word in run.json.
        status_text: what it means.
        started: when; empty where that is not known.
        facts: (name, value) pairs.
    """

    title: str
    sentence: str
    status: str
    status_text: str
    started: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Bar:
    """One accuracy.

    Args:
        kind: encoder, probe, baseline or chance.
        name: whose it is.
        value: in [0, 1].
        low: lower end of its 95 % interval.
        high: upper end.
    """

    kind: str
    name: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def interval(self) -> str:
        """The interval in words; empty where it is not known."""
        if self.low is None or self.high is None:
            return ""
        return f"{100 * self.low:.1f} to {100 * self.high:.1f}\u00a0%"


@dataclass(frozen=True)
class Scores:
    """How good the encoder is.

    Args:
        bars: its accuracies, the encoder's kNN first; empty without labels.
        verdict: what the comparison says, and what to do next.
        protocol: how it was measured, in sentences.
        numbers: (name, value, how to read it) of what is not charted.
        layers: the linear accuracy after each layer, from the backbone to the end of the head;
            empty unless they were probed.
    """

    bars: tuple[Bar, ...]
    verdict: str
    protocol: str
    numbers: tuple[tuple[str, str, str], ...]
    layers: tuple[Bar, ...]


def tell(record: RunRecord) -> Headline:
    """Return the headline of a run."""
    run, resolved = record.run, record.resolved
    method = _method(str(resolved.get("method") or "an unknown method"))
    source = str(resolved.get("source") or "unknown images")
    short = PurePath(source).name or source
    status = str(run.get("status") or "unknown")
    seconds, epochs = run.get("seconds"), resolved.get("epochs")
    environment = run.get("environment")
    facts = {
        "Images": _count(resolved.get("images")),
        "Backbone": resolved.get("backbone"),
        "Epochs": _count(epochs),
        "Steps": _count(resolved.get("steps")),
        "Batch": _count(resolved.get("batch_size")),
        "Side": f"{resolved['size']} px" if resolved.get("size") else None,
        "Time": duration(seconds) if is_number(seconds) else None,
        "Device": environment.get("device") if isinstance(environment, Mapping) else None,
        "Seed": resolved.get("seed"),
    }
    images = f"{facts['Images']} images of " if facts["Images"] else ""
    length = f" for {facts['Epochs']} epoch{'s' if epochs != 1 else ''}" if epochs else ""
    took = f", in {facts['Time']}" if facts["Time"] else ""
    steps = f" of {facts['Steps']}" if facts["Steps"] else ""
    reached = _count(record.train[-1].get("step")) if record.train else "0"
    return Headline(
        title=f"{method} on {short}",
        sentence=f"A {resolved.get('backbone') or 'network'} "
        + (
            f"that {method} trained on {images}{short}{length}{took}."
            if status == "done"
            else f"in training with {method} on {images}{short}: {reached} steps{steps} are done."
        ),
        status=status,
        status_text=STATUSES.get(status, status),
        started=_moment(run.get("started")),
        facts=tuple((name, str(value)) for name, value in facts.items() if value is not None),
    )


def weigh(evaluation: Mapping[str, Any], confusion: Confusion | None) -> Scores:
    """Return the scorecard in evaluation.json; `confusion` says how far one answer for all gets."""
    bars = [
        _bar(evaluation, "encoder", "this encoder, kNN", "knn_top1"),
        _bar(evaluation, "probe", "this encoder, linear", "linear_top1"),
        *(
            _bar(evaluation, "baseline", f"{name}, kNN", f"{key}_knn_top1")
            for key, (name, _) in BASELINES.items()
        ),
    ]
    if confusion and confusion.images:
        commonest = max(row.images for row in confusion.classes) / confusion.images
        bars.append(Bar("chance", "one answer for all", commonest))
    known = tuple(bar for bar in bars if bar)
    of = f"of {_count(evaluation['dim'])} " if evaluation.get("dim") else ""
    encoder = known[0] if known and known[0].kind == "encoder" else None
    return Scores(
        bars=known if encoder else (),
        verdict=tell_verdict(evaluation).replace(" %", "\u00a0%") if encoder else "",
        protocol=_protocol(evaluation),
        numbers=tuple(
            (name, number(evaluation[key]), meaning)
            for name, key, meaning in (
                ("Recall at 1", "recall_at_1", "share of images whose nearest is of their class"),
                ("MAP@R", "map_at_r", "1 when all images of its class come before any other"),
                ("Effective rank", "rankme", f"{of}directions in use; more is richer"),
                ("Spectrum decay", "alpha_req", "alpha; near 1 is good, higher nears collapse"),
                ("Alignment", "alignment", "0 to 4; low when views of an image agree"),
                ("Uniformity", "uniformity", "0 to \u22128; low when images spread evenly"),
            )
            if is_number(evaluation.get(key))
        ),
        layers=_layers(evaluation.get("layers")),
    )


def _layers(layers: object) -> tuple[Bar, ...]:
    """Return a bar a layer; the kind of the backbone's, which is what is kept, is encoder."""
    if not isinstance(layers, Mapping):
        return ()
    shares = {
        str(name): layer.get("linear_top1")
        for name, layer in layers.items()
        if isinstance(layer, Mapping)
    }
    return tuple(
        Bar("encoder" if name == "backbone" else "probe", name, share)
        for name, share in shares.items()
        if is_number(share)
    )


def _bar(evaluation: Mapping[str, Any], kind: str, name: str, key: str) -> Bar | None:
    value, interval = evaluation.get(key), evaluation.get(f"{key}_ci95")
    if not is_number(value):
        return None
    if isinstance(interval, list) and len(interval) == 2 and all(map(is_number, interval)):
        return Bar(kind, name, value, *interval)
    return Bar(kind, name, value)


def _protocol(evaluation: Mapping[str, Any]) -> str:
    """Return how the scores were measured, as far as the evaluation says it."""
    k, reason = evaluation.get("k"), evaluation.get("k_reason")
    said = []
    if k is not None:
        because = f" ({reason})" if reason else ""
        temperature = evaluation.get("temperature")
        at = f" at temperature T = {temperature}" if temperature is not None else ""
        said.append(f"kNN: the k = {k} nearest{because} vote, weighted by cosine{at}.")
    asked, bank = _count(evaluation.get("query_images")), evaluation.get("bank_images")
    if asked is not None:
        said.append(f"{_count(bank)} images vote on {asked}." if bank else f"{asked} images asked.")
    protocol = str(evaluation.get("protocol") or "").rstrip(".")
    if protocol:
        said.append(f"{protocol[:1].upper()}{protocol[1:]}.")
    return " ".join(said)


def _method(name: str) -> str:
    """Return a method by the name of its class, where that can be found: SimCLR for simclr."""
    if ":" in name:  # somebody's own, whose file a page has no need to open
        return name.rpartition(":")[2] or name
    try:
        with registry.read_from("run.json", trust_code=False):
            return registry.locate("methods", name).attribute or name
    except UsageError:
        return name


def _moment(started: object) -> str:
    try:
        moment = datetime.datetime.fromisoformat(str(started))
    except ValueError:
        return "" if started is None else str(started)
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment:%Z}".strip()


def _count(value: object) -> str | None:
    return f"{value:,}" if isinstance(value, int) else (None if value is None else str(value))
