"""A run's folder: what was asked, what was chosen, what came out. Reading it needs no torch."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from lookalike.durable import NO_SPACE, no_space, write_atomically
from lookalike.errors import UsageError

FORMAT = 1
HARMLESS = frozenset({"workers", "save_every", "log_every", "processes", "device", "from", "pairs"})
"""What may change between a run and its resumption without changing a bit of the result."""


_BEFORE_A_RUN = frozenset({"log.txt", "unreadable.csv"})


class Choice(NamedTuple):
    """A setting that the user left open, what it became and why."""

    name: str
    value: Any
    reason: str


class Run:
    """A run folder, read.

    Args:
        path: the folder that `lookalike train` wrote.

    Raises:
        UsageError: there is no run in this folder; and, as it is read, run.json is damaged, or
            written by a newer lookalike.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "run.json").is_file():
            raise UsageError(
                f"{self.path} is no run: it has no run.json\n"
                "  fix: name the folder that `lookalike train SOURCE --out FOLDER` wrote"
            )

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def record(self) -> dict[str, Any]:
        """Everything in run.json."""
        record = _read_object(self.path / "run.json")
        written = record.get("format", FORMAT)
        if not isinstance(written, int) or written > FORMAT:
            raise UsageError(
                f"{self.path / 'run.json'} is of format {written!r}, and this lookalike reads up "
                f"to {FORMAT}\n  fix: update lookalike"
            )
        return record

    @property
    def config(self) -> dict[str, Any]:
        """Every setting, resolved."""
        resolved = self.record.get("resolved")
        if not isinstance(resolved, dict):
            raise damaged(self.path / "run.json", "it holds no settings")
        for name, fits in _FORMS.items():
            if name in resolved and not fits(resolved[name]):
                raise damaged(self.path / "run.json", f"{name} cannot be {resolved[name]!r:.80}")
        return _Settings(resolved, path=self.path / "run.json")

    @property
    def status(self) -> str:
        """One of running, preempted, failed, done; a killed run still says running."""
        return str(self.record.get("status", "unknown"))

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, oldest first."""
        return read_lines(self.path / "metrics.jsonl")

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """The scorecard of the finished run, or none."""
        path = self.path / "evaluation.json"
        return _read_object(path) if path.is_file() else None


class _Settings(dict[str, Any]):
    """Settings as a run.json has them, which says so where it lacks one."""

    def __init__(self, settings: Mapping[str, Any], *, path: Path) -> None:
        super().__init__(settings)
        self.path = path

    def __missing__(self, name: str) -> Any:
        raise damaged(self.path, f"it says nothing of {name}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict)


def _are_channels(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(each, int | float) for each in value)
    )


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


_FORMS: Final[Mapping[str, Callable[[object], bool]]] = {
    **dict.fromkeys(("method", "backbone", "source"), _is_text),
    **dict.fromkeys(("method_arguments", "backbone_arguments"), _is_mapping),
    **dict.fromkeys(("size", "seed", "images", "unreadable"), _is_count),
    **dict.fromkeys(("mean", "std"), _are_channels),
    "classes": _are_texts,
}
"""What settings must be that more than the training itself relies on."""


def damaged(path: Path, why: str) -> UsageError:
    """Return the refusal of a file that a run wrote and that is not as it was written."""
    return UsageError(
        f"{path} cannot be read: {why}\n  fix: restore the file, or train again into a new folder"
    )


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as problem:
        raise damaged(path, str(problem)) from problem
    if not isinstance(content, dict):
        raise damaged(path, "it is no JSON object")
    return content


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON-lines file; a last line cut short by a crash is left out."""
    rows = []
    if path.is_file():
        for line in path.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return rows


class RunFolder:
    """A run folder, written: one writer at a time, nothing lost by a crash.

    Args:
        path: the folder; made if it is missing.

    Raises:
        UsageError: the path is a file, holds something else, or another process trains in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.model = path / "model"
        self.metrics = path / "metrics.jsonl"
        self.speed = path / "speed.jsonl"
        self.record: dict[str, Any] = {}
        self._lock: IO[str] | None = None

    def open(self, *, overwrite: bool) -> bool:
        """Take the folder for writing; return whether it already holds a run."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(
                f"--out {self.path} is a file\n  fix: name a folder, new or of an earlier run"
            )
        holds_run = (self.path / "run.json").is_file()
        if not holds_run and self.path.is_dir() and self._holds_others():
            raise UsageError(
                f"--out {self.path} is not empty and holds no run; nothing in it was touched\n"
                "  fix: name a new folder"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.path / ".lock", "w")  # noqa: SIM115  held while this is open
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            self.close()
            raise UsageError(
                f"another process is training in {self.path}\n"
                "  fix: wait for it, or name another --out"
            ) from busy
        if holds_run and overwrite:
            for entry in list(self._visible()):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            holds_run = False
        if holds_run:
            self.record = Run(self.path).record
        return holds_run

    def close(self) -> None:
        """Let others write; a process that ends does so by itself."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def _visible(self) -> list[Path]:
        return [entry for entry in self.path.iterdir() if entry.name != ".lock"]

    def _holds_others(self) -> bool:
        """Whether there is more than what a run leaves that ended before it began."""
        return any(entry.name not in _BEFORE_A_RUN for entry in self._visible())

    def start(self, resolved: Mapping[str, Any], choices: list[Choice], device: str) -> None:
        """Write run.json for a new run, or for one that goes on."""
        fresh = {
            "format": FORMAT,
            "lookalike": version("lookalike"),
            "command": sys.argv,
            "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
        }
        self.record = {
            **fresh,
            **self.record,
            "status": "running",
            "resolved": dict(resolved),
            "choices": [choice._asdict() for choice in choices],
            "environment": environment(device),
        }
        self.write()

    def finish(self, status: str, seconds: float) -> None:
        """Record how this process ended and how long it trained."""
        self.record["status"] = status
        self.record["seconds"] = round(self.record["seconds"] + seconds, 1)
        self.write()

    def write(self) -> None:
        """Write run.json."""
        content = json.dumps(self.record, indent=2, ensure_ascii=False, default=str)
        write_atomically(self.path / "run.json", content.encode())

    def append(self, path: Path, row: Mapping[str, Any]) -> None:
        """Add one line to a JSON-lines file."""
        try:
            with open(path, "a") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as problem:
            if problem.errno in NO_SPACE:
                raise no_space(path) from problem
            raise

    def metrics_size(self) -> int:
        """Return the length of metrics.jsonl in bytes, for the checkpoint to remember."""
        return self.metrics.stat().st_size if self.metrics.exists() else 0

    def rewind_metrics(self, size: int, step: int) -> None:
        """Drop the lines that were written after the checkpoint at this step."""
        self.metrics.touch()
        os.truncate(self.metrics, size)
        rows = [row for row in read_lines(self.speed) if row["step"] <= step]
        write_atomically(self.speed, "".join(json.dumps(row) + "\n" for row in rows).encode())


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (name, old, new) of every setting that differs and changes the result."""
    before = json.loads(json.dumps(old, default=str))
    after = json.loads(json.dumps(new, default=str))
    names = sorted((before.keys() | after.keys()) - HARMLESS)
    return [
        (name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]


def environment(device: str) -> dict[str, Any]:
    """Return what a reader of the numbers needs to know of the machine and the software."""
    packages = ("torch", "torchvision", "timm", "numpy", "pillow")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "device": device,
        "git": _commit(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str | None:
    """Return the commit of the checkout that this code runs from, if it is one."""
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
