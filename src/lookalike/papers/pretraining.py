"""Triplets with self-supervision before them, or without: an experiment of two trainings."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lookalike.papers.measures import recall_at_1
from lookalike.papers.settings import DRAWINGS
from lookalike.runs.job import train

SOURCE = "omniglot"


def recall_of_triplets(*, pretraining: int, epochs: int, seed: int) -> float:
    """Return recall at 1 on letters that were not trained on, after FaceNet's triplets.

    Args:
        pretraining: epochs of SimCLR before, without labels; 0 for none.
        epochs: of the triplets.
        seed: of both.
    """
    settings: dict[str, Any] = {**DRAWINGS, "seed": seed, "quiet": True, "evaluate": False}
    with TemporaryDirectory() as folder:
        out = Path(folder)
        if pretraining:
            views = {**settings["views_arguments"], "jitter": (0.0, 0.0, 0.0, 0.0), "grey": 0.0}
            before = {**settings, "views_arguments": views, "epochs": pretraining}
            train(SOURCE, out=out / "start", method="simclr", **before)
            settings |= {"backbone": None, "backbone_arguments": None, "from_": out / "start"}
        settings["epochs"] = epochs
        run = train(SOURCE, out=out / "triplets", method="facenet", **settings)
        return recall_at_1(run, SOURCE)
