"""Run a paper's claims as small experiments, and say which of them reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookalike import registry
from lookalike.cli.terminal import finish, print_json, say

LIBRARY = "papers.base:reproduce"


def reproduce(
    paper: str, *, out: Path = Path("runs/papers"), json: bool = False, **settings: Any
) -> None:
    """Reproduce.

    Args:
        paper: its name, as `lookalike papers` lists it.
        out: folder of the runs and of what came out.
        json: print one JSON object in place of the tables.
        settings: further arguments of `papers.base.reproduce`.
    """
    registry.locate("papers", paper)  # a wrong name is told at once, before torch is imported
    say(f"importing torch to reproduce {paper}")
    from lookalike.papers.base import reproduce as run_claims

    outcomes = run_claims(paper, out=out, **settings)
    if json:
        print_json({"outcomes": [outcome.to_json() for outcome in outcomes]})
    else:
        print("\n\n".join("\n".join(outcome.lines()) for outcome in outcomes))
    folder = out / "full" if settings.get("full") else out
    written = (
        folder / paper / f"{outcome.claim.name}{ending}"
        for outcome in outcomes
        for ending in (".json", ".svg")
    )
    finish(*written, following="lookalike papers")
