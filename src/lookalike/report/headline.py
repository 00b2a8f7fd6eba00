"""The top of the page: what was trained on what, how it ended, and how good it is beside baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from lookalike.report.charts import number, percent
from lookalike.report.confusion import Confusion
from lookalike.training.progress import duration

NORMAL_95 = 1.959964  # two-sided 95 % point of the normal distribution

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
        facts: (name, value) pairs.
    """

    title: str
    sentence: str
    status: str
    status_text: str
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
        verdict: what the comparison says, in one sentence.
        protocol: how it was measured.
        numbers: (name, value, how to read it) of what is no accuracy.
    """

    bars: tuple[Bar, ...]
    verdict: str
    protocol: str
    numbers: tuple[tuple[str, str, str], ...]


def tell(run: Mapping[str, Any], resolved: Mapping[str, Any]) -> Headline:
    """Return the headline of a run from its run.json."""
    method = str(resolved.get("method") or "an unknown method")
    source = str(resolved.get("source") or "an unknown source")
    short = PurePath(source).name or source
    status = str(run.get("status") or "unknown")
    seconds = run.get("seconds")
    environment = run.get("environment")
    device = environment.get("device") if isinstance(environment, Mapping) else None
    facts = {
        "Images": _count(resolved.get("images")),
        "Backbone": resolved.get("backbone"),
        "Epochs": _count(resolved.get("epochs")),
        "Steps": _count(resolved.get("steps")),
        "Batch": _count(resolved.get("batch_size")),
        "Side": f"{resolved['size']} px" if resolved.get("size") else None,
        "Time": duration(seconds) if _is_number(seconds) else None,
        "Device": device,
        "Seed": resolved.get("seed"),
    }
    backbone = f" a {resolved['backbone']} network" if resolved.get("backbone") else " a network"
    images = f"{_count(resolved['images'])} images of " if resolved.get("images") else ""
    epochs = resolved.get("epochs")
    length = f" for {_count(epochs)} epoch{'s' if epochs != 1 else ''}" if epochs else ""
    took = f"; it took {facts['Time']}" if facts["Time"] and status == "done" else ""
    return Headline(
        title=f"{method} on {short}",
        sentence=f"{method} trained{backbone} on {images}{short}{length}{took}.",
        status=status,
        status_text=STATUSES.get(status, status),
        facts=tuple((name, str(value)) for name, value in facts.items() if value is not None),
    )


def weigh(evaluation: Mapping[str, Any], confusion: Confusion | None) -> Scores:
    """Return the scorecard of evaluation.json; intervals need the number of images in `confusion`."""
    asked = confusion.images if confusion else 0
    k, temperature = evaluation.get("k"), evaluation.get("temperature")
    bars = []
    for kind, name, key in (
        ("encoder", "this encoder, kNN", "knn_top1"),
        ("probe", "this encoder, linear probe", "linear_top1"),
        ("baseline", "raw pixels, kNN", "raw_pixels_knn_top1"),
        ("baseline", "untrained network, kNN", "untrained_knn_top1"),
    ):
        value = evaluation.get(key)
        if _is_number(value):
            low, high = wilson_interval(value, asked) if asked else (None, None)
            bars.append(Bar(kind, name, value, low, high))
    if confusion and asked:
        commonest = max(row.images for row in confusion.classes) / asked
        bars.append(Bar("chance", "always the commonest class", commonest))
    how = [f"k = {k}"] if k is not None else []
    how += [f"T = {temperature}"] if temperature is not None else []
    how += [f"{asked:,} images asked about"] if asked else []
    protocol = str(evaluation.get("protocol") or "")
    return Scores(
        bars=tuple(bars) if bars and bars[0].kind == "encoder" else (),
        verdict=_compare(bars),
        protocol=" · ".join(part for part in (", ".join(how), protocol) if part),
        numbers=tuple(
            (name, number(evaluation[key]), meaning)
            for name, key, meaning in (
                ("Effective rank", "rankme", "directions in use; more is richer"),
                ("Alignment", "alignment", "distance of two views; lower is better"),
                ("Uniformity", "uniformity", "0 is one point; lower is more even"),
            )
            if _is_number(evaluation.get(key))
        ),
    )


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share seen in `count` trials (Wilson 1927), inside [0, 1]."""
    squared = NORMAL_95**2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    reach = (
        NORMAL_95
        / (1 + squared / count)
        * math.sqrt(max(share * (1 - share), 0) / count + squared / (4 * count**2))
    )
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _compare(bars: list[Bar]) -> str:
    encoder = next((bar for bar in bars if bar.kind == "encoder"), None)
    baselines = [bar for bar in bars if bar.kind == "baseline"]
    if encoder is None or not baselines:
        return ""
    best = max(baselines, key=lambda bar: bar.value)
    name = best.name.removesuffix(", kNN")
    points = f"{100 * abs(encoder.value - best.value):.1f} points"
    if encoder.value <= best.value:
        return f"Training has not paid off yet: {name} do as well or better, by {points}."
    if encoder.low is not None and best.high is not None and encoder.low <= best.high:
        return f"{points} above {name}, but the intervals overlap: too few images to be sure."
    return f"{points} above the better baseline, {name} ({percent(best.value)})."


def _count(value: object) -> str | None:
    return f"{value:,}" if isinstance(value, int) else (None if value is None else str(value))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
