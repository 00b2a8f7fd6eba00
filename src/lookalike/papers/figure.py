"""How a claim came out, as a picture: a bar an arm, a dot a seed, and the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any

from lookalike.report.charts import Scale, number, percent

WIDTH, ROW, LINE, BOTTOM = 760, 34, 20, 56
LETTERS = 86  # of a line of the title
LEFT, RIGHT = 250, 660  # of the bars
INK, FAINT, BAR, DOT = "#1f2430", "#6b7280", "#8fb3d9", "#1f4e79"
VERDICTS = {"reproduced": "#1a7f4b", "not reproduced": "#b3261e", "inconclusive": "#8a6100"}

Say = Callable[[float], str]
Outcome = Mapping[str, Any]
"""What `papers.base.Outcome.to_json` returns."""


def claim_figure(outcome: Outcome) -> str:
    """Return an SVG picture of how a claim came out, arms in the order of their means.

    Args:
        outcome: what `lookalike reproduce` writes of a claim.
    """
    shares = outcome["unit"] == "%"
    say = percent if shares else number
    arms = sorted(outcome["arms"].items(), key=lambda arm: -arm[1]["mean"])
    scores = [score for _, arm in arms for score in arm["scores"]]
    low, high = min(0.0, *scores), max(0.0, *scores) or 1.0
    scale = Scale(low, high, LEFT, RIGHT)
    title = textwrap.wrap(outcome["says"][:1].upper() + outcome["says"][1:], LETTERS)
    top = 38 + LINE * len(title)
    height = top + ROW * len(arms) + BOTTOM
    parts = [
        *(
            _text(24, 30 + LINE * place, line, size=15, weight=600)
            for place, line in enumerate(title)
        ),
        *(
            part
            for place, (name, arm) in enumerate(arms)
            for part in _row(top + ROW * place, name, arm, scale, say)
        ),
        f'<path d="M{float(scale(0.0)):.1f} {top - 4} V{height - BOTTOM}" stroke="{FAINT}"/>',
        _text(
            24, height - 22, outcome["verdict"], size=14, weight=600,
            colour=VERDICTS[outcome["verdict"]],
        ),
        _text(WIDTH - 24, height - 22, _caption(outcome), size=12, colour=FAINT, anchor="end"),
    ]  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif"><title>{escape(_summary(outcome, arms, say))}</title>'
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _row(top: float, name: str, arm: Mapping[str, Any], scale: Scale, say: Say) -> Iterator[str]:
    """Yield an arm's name, its bar to the mean, a dot a seed, and the mean in words."""
    zero, end, middle = float(scale(0.0)), float(scale(arm["mean"])), top + ROW / 2
    x, width = min(zero, end), max(abs(end - zero), 1.0)
    yield _text(LEFT - 12, middle + 4, name, size=13, anchor="end")
    yield f'<rect x="{x:.1f}" y="{top + 5}" width="{width:.1f}" height="{ROW - 10}" fill="{BAR}"/>'
    for score in arm["scores"]:
        yield f'<circle cx="{float(scale(score)):.1f}" cy="{middle}" r="4" fill="{DOT}"/>'
    yield _text(RIGHT + 14, middle + 4, say(arm["mean"]), size=13)


def _caption(outcome: Outcome) -> str:
    seeds = len(outcome["seeds"])
    on = f" on {outcome['source']}" if outcome["source"] else ""
    what = f", {outcome['measure'].replace('_', ' ')}" if outcome["measure"] else ""
    return f"{outcome['paper']}{on}{what}; {seeds} seed{'s' * (seeds > 1)}, bars are means"


def _summary(outcome: Outcome, arms: list[tuple[str, Mapping[str, Any]]], say: Say) -> str:
    means = ", ".join(f"{name} {say(arm['mean'])}" for name, arm in arms)
    return f"{outcome['says']}: {outcome['verdict']}; {means}"


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: int,
    weight: int = 400,
    colour: str = INK,
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )
