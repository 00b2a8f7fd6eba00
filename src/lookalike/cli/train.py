"""Train an encoder on images; the same command again goes on after an interruption."""

from __future__ import annotations

import os
import sys
from typing import Any

import lookalike
from lookalike.cli.command import Group
from lookalike.cli.processes import run_processes, wanted_processes
from lookalike.cli.terminal import finish, print_json, say
from lookalike.runs.asked import judge

LIBRARY = "runs.job:train"
GROUPS = (
    Group("method", "methods"),
    Group("backbone", "backbones"),
    Group("loss", "losses"),
    Group("student", "backbones", noun="student's backbone"),
    Group("views", "views.plans", entry="View"),
    Group("optim", "training.optim"),
)


def train(source: str, *, processes: int | None = None, json: bool = False, **settings: Any) -> int:
    """Train.

    Args:
        source: images: a folder, archive, .npz, table or known name such as hands.
        processes: processes that share the work (default: one a GPU).
        json: print the run's record and scores as one JSON object.
        settings: arguments of `runs.job.train`.
    """
    judge(settings)  # before torch, which takes seconds
    leads = os.environ.get("RANK", "0") == "0"
    count = wanted_processes(processes, device=settings.get("device", "auto"))
    if count > 1:
        return run_processes(count, sys.argv[1:])
    if leads:
        say(f"lookalike {lookalike.__version__}: importing torch to train on {source}")
    from lookalike.runs.job import train as train_encoder

    run = train_encoder(source, **settings)
    if leads:
        if json:
            print_json({"run": run.path, **run.record, "evaluation": run.evaluation})
        pairs = settings.get("pairs")
        following = f"verify {run.path} {pairs}" if pairs else f"report {run.path}"
        finish(run.path / "model", run.path, following=f"lookalike {following}")
    return 0
