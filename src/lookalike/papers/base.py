"""Runs a paper's claims: every arm with every seed; compares, and judges by the rule."""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lookalike import registry
from lookalike.durable import write_atomically
from lookalike.errors import UsageError
from lookalike.papers.claims import Arm, Claim, Verdict
from lookalike.papers.figure import claim_figure
from lookalike.papers.full import full_scale
from lookalike.papers.measures import MEASURES
from lookalike.runs.job import train
from lookalike.training.run_folder import Run


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a claim came out.

    Attributes:
        paper: its name.
        claim: what was tried.
        source: the images it was tried on; none: it needs none.
        seeds: what every arm was run with.
        scores: of each arm, one a seed, in the claim's unit.
        verdict: by the claim's rule.
        seconds: that training and measuring took.
    """

    paper: str
    claim: Claim
    source: str | None
    seeds: tuple[int, ...]
    scores: Mapping[str, tuple[float, ...]]
    verdict: Verdict
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "paper": self.paper,
            "claim": self.claim.name,
            "says": self.claim.says,
            "where": self.claim.where,
            "note": self.claim.note,
            "source": self.source,
            "measure": self.claim.measure if self.claim.trains else None,
            "unit": self.claim.unit,
            "seeds": self.seeds,
            "arms": {
                name: {"scores": scores, "mean": statistics.fmean(scores), "spread": spread(scores)}
                for name, scores in self.scores.items()
            },
            "comparisons": [
                {
                    "holds": each.describe(),
                    **vars(each),
                    "leads": [
                        lead if math.isfinite(lead) else None for lead in each.leads(self.scores)
                    ],
                    "verdict": each.judge(self.scores),
                }
                for each in self.claim.comparisons
            ],
            "verdict": self.verdict,
            "seconds": round(self.seconds, 1),
        }

    def lines(self) -> list[str]:
        """Return a table for people, and the verdict."""
        width = max(map(len, self.scores))
        largest = max(abs(score) for scores in self.scores.values() for score in scores)
        full = 1.0 if self.claim.unit == "%" else largest or 1.0
        rows = [f"{self.claim.name}: {self.claim.says} ({self.claim.where})"]
        for name, scores in sorted(self.scores.items(), key=lambda item: -sum(item[1])):
            mean, deviation = statistics.fmean(scores), spread(scores)
            bar = "█" * round(40 * mean / full)
            rows.append(
                f"  {name:{width}}  {self.claim.show(mean):>6} ± {self.claim.show(deviation):>5}"
                f"  {bar}"
            )
        for each in self.claim.comparisons:
            lead = statistics.fmean(each.leads(self.scores))
            rows.append(f"  {each.describe()}: {lead:+.3f}, {each.judge(self.scores)}")
        return [*rows, f"  {self.verdict}"]


def spread(scores: tuple[float, ...]) -> float:
    """Return the standard deviation over seeds; 0 for one seed."""
    return statistics.stdev(scores) if len(scores) > 1 else 0.0


def claims_of(paper: str) -> tuple[Claim, ...]:
    """Return what a paper claims.

    Raises:
        UsageError: there is no such paper.
    """
    location = registry.locate("papers", paper)
    claims: tuple[Claim, ...] = importlib.import_module(str(location.module)).CLAIMS
    return claims


def reproduce(
    paper: str,
    *,
    claim: str | None = None,
    seeds: int = 3,
    out: Path = Path("runs/papers"),
    source: str | None = None,
    full: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[Outcome]:
    """Run a paper's claims on a small machine; what is already trained is not trained again.

    Args:
        paper: its name, as `lookalike papers` lists it.
        claim: the only claim to run; none: all of them.
        seeds: how many times every arm is run, with seeds 0, 1, ...
        out: folder of the runs and of what came out.
        source: other images to learn from, with a train and a test split; none: the claim's.
        full: train at full size, on CIFAR-10 with a whole ResNet-18 for 200 epochs; needs a GPU.
        say: told each line of progress; none: printed on stderr.

    Returns:
        One outcome a claim, also written to `out`/PAPER/CLAIM.json and, as a picture, CLAIM.svg.

    Raises:
        UsageError: there is no such paper or claim.
    """
    say = say or (lambda line: print(line, file=sys.stderr, flush=True))
    claims = claims_of(paper)
    if claim is not None:
        known = {each.name: each for each in claims}
        if claim not in known:
            hint = registry.did_you_mean(claim, known)
            raise UsageError(f"{paper} has no claim {claim}.{hint} It has: {', '.join(known)}")
        claims = (known[claim],)
    if full:
        claims, out = tuple(map(full_scale, claims)), out / "full"
        if not torch.cuda.is_available():
            say("warning: at full size and without a GPU, a claim takes days")
    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, got {seeds}")
    (out / paper).mkdir(parents=True, exist_ok=True)
    outcomes = []
    for each in claims:
        outcome = _run(
            paper, each, tuple(range(seeds)), out / paper, source=source or each.source, say=say
        )
        found = outcome.to_json()
        content = json.dumps(found, indent=2, ensure_ascii=False)
        write_atomically(out / paper / f"{each.name}.json", content.encode())
        write_atomically(out / paper / f"{each.name}.svg", claim_figure(found).encode())
        outcomes.append(outcome)
    return outcomes


def _run(
    paper: str,
    claim: Claim,
    seeds: tuple[int, ...],
    folder: Path,
    *,
    source: str,
    say: Callable[[str], None],
) -> Outcome:
    began = time.monotonic()
    scores: dict[str, list[float]] = {arm.name: [] for arm in claim.arms}
    done, total = 0, len(claim.arms) * len(seeds)
    for seed in seeds:  # seed by seed, so that an early look compares all arms
        for arm in claim.arms:
            score = _score(claim, arm, seed, folder, source)
            scores[arm.name].append(score)
            done += 1
            left = (time.monotonic() - began) / done * (total - done)
            say(
                f"{paper} {claim.name} {done}/{total}  {arm.name}, seed {seed}: "
                f"{claim.show(score)}  ({left:.0f} s left)"
            )
    table = {name: tuple(values) for name, values in scores.items()}
    return Outcome(
        paper=paper,
        claim=claim,
        source=source if claim.trains else None,
        seeds=seeds,
        scores=table,
        verdict=claim.judge(table),
        seconds=time.monotonic() - began,
    )


def _score(claim: Claim, arm: Arm, seed: int, folder: Path, source: str) -> float:
    """Train one arm with one seed, unless it is there already, and measure it.

    An arm that is an experiment of its own is run anew.
    """
    settings = {**claim.settings, **arm.settings, "seed": seed}
    if arm.experiment is not None:
        return float(registry.load(registry.locate("papers", arm.experiment))(**settings))
    run = trained(source, settings, folder / "runs")
    return MEASURES[arm.measure or claim.measure](run, source)


def trained(source: str, settings: Mapping[str, Any], folder: Path) -> Run:
    """Return the run of some settings; what is already trained is not trained again.

    Args:
        source: images to train on.
        settings: arguments of `runs.job.train`, by name; `taught_by` and `starts_from` may hold
            those of a run that comes first, with the same seed, and so on.
        folder: of the runs.
    """
    asked = json.dumps([source, settings], sort_keys=True)
    run_path = folder / hashlib.sha256(asked.encode()).hexdigest()[:16]
    settings = dict(settings)
    for name, argument in (("taught_by", "teacher"), ("starts_from", "from_")):
        if name in settings:
            before = {**settings.pop(name), "seed": settings["seed"]}
            settings[argument] = str(trained(source, before, folder).path)
    return train(source, out=run_path, quiet=True, evaluate=False, **settings)
