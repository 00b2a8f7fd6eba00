"""Where a run stands, from its files alone: for a look over its shoulder while it trains."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from lookalike.errors import UsageError
from lookalike.report.health import judge
from lookalike.report.reading import is_number
from lookalike.training.progress import duration, read_facts
from lookalike.training.run_folder import Run, read_lines

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-~=+*#"  # where a terminal has no others
QUIET = 120.0  # seconds; training writes more often, but measuring at its end may take longer
WAITING = 0.2  # of the time, for images, that is worth more workers
LOG_BYTES = 8192  # of log.txt, from its end
READINGS = {
    "loss": ("loss", ".4g"),
    "spread": ("spread", ".2f"),
    "rankme": ("rank", ".1f"),
    "knn_top1": ("kNN", ".1%"),
    "view_retrieval_top1": ("views", ".1%"),
    "images_per_second": ("images/s", ",.0f"),
}  # key in the files: (what a person reads, how the last value is written)
STATUSES = {
    "done": "done",
    "preempted": "stopped and saved: the same command goes on",
    "failed": "failed",
}


@dataclass(frozen=True)
class Standing:
    """A run at one moment.

    Args:
        folder: of the run.
        status: one of running, preempted, failed, done.
        settings: all of the run's, resolved.
        seconds: it has trained, as far as run.json says.
        step: the last that the files tell of.
        steps: how many there will be; none before the first progress line.
        values: every number of a reading by its key, oldest first; those that are finite.
        facts: what the last progress line said, by name; empty once the run has ended.
        warnings: what is worth a look, in sentences.
        lines: the last of log.txt.
        evaluation: the scorecard, if there is one.
    """

    folder: Path
    status: str
    settings: Mapping[str, Any]
    seconds: float
    step: int
    steps: int | None
    values: Mapping[str, Sequence[float]]
    facts: Mapping[str, str]
    warnings: tuple[str, ...]
    lines: tuple[str, ...]
    evaluation: Mapping[str, Any] | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come unless somebody starts it again."""
        return self.status != "running"

    def to_json(self) -> dict[str, Any]:
        """Return what it says as plain values; of the readings, the last."""
        return {
            "run": str(self.folder),
            "status": self.status,
            "step": self.step,
            "steps": self.steps,
            "seconds": self.seconds,
            **{key: list(values)[-1] for key, values in self.values.items()},
            **{name: self.facts[name] for name in ("wait", "eta") if name in self.facts},
            "warnings": list(self.warnings),
        }

    def tell(self, *, width: int = 80, blocks: str = BLOCKS) -> list[str]:
        """Return it as lines for people.

        Args:
            width: columns that a line may take.
            blocks: characters of a sparkline, from low to high.
        """
        settings = self.settings
        of = f"/{self.steps:,}" if self.steps else ""
        epoch = f"   epoch {self.facts['epoch']}" if "epoch" in self.facts else ""
        trained = " with ".join(str(settings.get(key, "?")) for key in ("method", "backbone"))
        lines = [
            f"{self.folder.name}   {trained} on {settings.get('source', '?')}",
            f"{STATUSES.get(self.status, self.status)}   step {self.step:,}{of}{epoch}",
            "",
        ]
        room = max(8, min(48, width - 24))
        for key, (name, form) in READINGS.items():
            if key in self.values:
                drawn = sparkline(self.values[key], room, blocks)
                lines.append(f"{name:>8}  {drawn:{room}}  {self.values[key][-1]:{form}}")
        now = [f"{name} {self.facts[name]}" for name in ("wait", "eta") if name in self.facts]
        if self.ended and self.seconds:
            now.append(f"took {duration(self.seconds)}")
        if self.evaluation and is_number(self.evaluation.get("knn_top1")):
            now.append(f"evaluated: kNN {self.evaluation['knn_top1']:.1%}")
        lines += [" " * 10 + "   ".join(now)] if now else []
        lines += ["", *[f"warning: {each}" for each in self.warnings]]
        if not self.warnings:
            lines.append("no warnings")
        if self.status == "failed":
            lines += ["", *self.lines]
        return [line if line.startswith("warning") else line[:width] for line in lines]


def read_standing(folder: Path, *, now: float | None = None) -> Standing:
    """Return where a run stands; what is half written yet is left for the next look.

    Args:
        folder: of the run.
        now: seconds since the epoch; none: as the clock has it.

    Raises:
        UsageError: the folder holds no run, or a file that is none of ours.
        OSError: a file cannot be read.
    """
    try:
        return _read(Run(folder), time.time() if now is None else now)
    except UsageError:
        raise
    except ValueError as problem:
        raise UsageError(
            f"{folder} cannot be read: {problem}\n  fix: restore the file"
        ) from problem


def _read(run: Run, now: float) -> Standing:
    record, folder = run.record, run.path
    settings = record.get("resolved") or {}
    metrics = [row for row in read_lines(folder / "metrics.jsonl") if isinstance(row, dict)]
    speed = [row for row in read_lines(folder / "speed.jsonl") if isinstance(row, dict)]
    monitors = [row for row in metrics if row.get("kind") == "monitor"]
    log = _tail(folder / "log.txt")
    status = str(record.get("status") or "unknown")
    told = next((told for line in reversed(log) if (told := read_facts(line))), None)
    step, total, facts = told or (0, None, {})
    steps = [row["step"] for row in (*metrics, *speed) if is_number(row.get("step"))]
    rows = {"images_per_second": speed, "loss": [r for r in metrics if r.get("kind") == "train"]}
    values = {key: _finite(rows.get(key, monitors), key) for key in READINGS}
    return Standing(
        folder=folder,
        status=status,
        settings=settings,
        seconds=float(record.get("seconds") or 0),
        step=int(max([step, *steps])),
        steps=total,
        values={key: numbers for key, numbers in values.items() if numbers},
        facts=facts if status == "running" else {},
        warnings=tuple(_warnings(folder, status, monitors, speed, now - _last_written(folder))),
        lines=tuple(log[-6:]),
        evaluation=run.evaluation,
    )


def sparkline(values: Sequence[float], width: int, blocks: str = BLOCKS) -> str:
    """Return numbers as a row of at most `width` bars; each is the mean of its share of them."""
    count = min(width, len(values))
    edges = [round(place * len(values) / count) for place in range(count + 1)]
    means = [math.fsum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    reach = (high - low) or 1.0
    top = len(blocks) - 1
    return "".join(blocks[round((mean - low) / reach * top)] for mean in means)


def _finite(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [row[key] for row in rows if is_number(row.get(key))]


def _tail(path: Path) -> list[str]:
    if not path.is_file():
        return []
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_BYTES))
        return file.read().decode(errors="replace").splitlines()


def _last_written(folder: Path) -> float:
    names = ("run.json", "metrics.jsonl", "speed.jsonl", "log.txt")
    return max((folder / name).stat().st_mtime for name in names if (folder / name).is_file())


def _warnings(
    folder: Path,
    status: str,
    monitors: Sequence[Mapping[str, Any]],
    speed: Sequence[Mapping[str, Any]],
    quiet: float,
) -> list[str]:
    trained = [row for row in monitors if row.get("step")]  # a net as it was drawn is no sign
    signs = judge(trained).signs if trained else ()
    said = [sign.sentence for sign in signs if sign.level in ("warning", "collapsed")]
    wait = speed[-1].get("wait_share") if speed else None
    if status == "running" and is_number(wait) and wait > WAITING:
        said.append(f"{wait:.0%} of the time goes into waiting for images: more --workers")
    unreadable = folder / "unreadable.csv"
    if unreadable.is_file():
        with open(unreadable, "rb") as file:
            lost = sum(1 for _ in file) - 1
        if lost > 0:
            said.append(f"{lost:,} images cannot be read; unreadable.csv lists them")
    if status == "running" and quiet > QUIET:
        said.append(
            f"nothing new for {duration(quiet)}; if it was killed, the same command goes on"
        )
    return said
