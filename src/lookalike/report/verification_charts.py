"""Verification as geometry: ROC over powers of ten of FAR, DET, and where the scores lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from lookalike.report.charts import BOTTOM, LEFT, RIGHT, TOP, Mark, Scale, number, svg_path

Floats = npt.NDArray[np.float64]
Points = tuple[tuple[float, float, str], ...]

_DET_MARKS = (1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
_LEAST_SHARE = 1e-6
_MANY = 300  # points under the pointer


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Args:
        kind: whose it is; the style draws each kind in its own way.
        path: SVG path.
        area: whether what is under it is filled.
    """

    kind: str
    path: str
    area: bool = False


@dataclass(frozen=True)
class Panel:
    """One chart of several lines.

    Args:
        name: its key among the page's charts.
        title: what it shows.
        latest: what is said before anything is pointed at.
        summary: the whole chart in one sentence, for those who cannot see it.
        lines: drawn in this order.
        x_marks: ticks of the horizontal axis.
        y_marks: ticks of the vertical axis.
        x_title: what the horizontal axis measures.
        y_title: what the vertical axis measures.
        points: [x, y, what to say] in pixels.
        trail: whether the nearest point is looked for in both directions.
        untold: right end, in pixels, of the part on the left that too few pairs tell of.
        upright: place and text of a vertical line, if there is one.
    """

    name: str
    title: str
    latest: str
    summary: str
    lines: tuple[Line, ...]
    x_marks: tuple[Mark, ...]
    y_marks: tuple[Mark, ...]
    x_title: str
    y_title: str
    points: Points
    trail: bool = False
    untold: float | None = None
    upright: Mark | None = None


def share(value: float) -> str:
    """Return a share as a percentage with as many digits as it needs: 0.01 % or 37 %."""
    text = f"{100 * value:.3g}" if value < 0.1 else f"{100 * value:.1f}".removesuffix(".0")
    if "e" in text:
        text = f"{100 * value:.8f}".rstrip("0")
    return f"{text}\u00a0%"


def roc_chart(
    rocs: Mapping[str, Mapping[str, Sequence[float]]], *, different: int, latest: str
) -> Panel:
    """Chart TAR over FAR, the axis of FAR in powers of ten.

    Args:
        rocs: `far`, `tar` and `threshold` by whose they are, the encoder first.
        different: different pairs that FAR counts.
        latest: what is said of it before anything is pointed at.
    """
    low = -math.log10(max(different, 2))
    x_scale, y_scale = Scale(low, 0, LEFT, RIGHT), Scale(0, 1, BOTTOM, TOP)

    def place(far: Floats, tar: Floats) -> tuple[list[float], list[float]]:
        logs = np.log10(np.maximum(far, 10**low))
        return _tenths(x_scale(logs)), _tenths(y_scale(tar))

    first = next(iter(rocs))
    told = min(math.log10(10 / different), 0) if different > 10 else 0.0
    return Panel(
        name="roc",
        title="ROC",
        latest=latest,
        summary=f"Share of same pairs accepted over share of different pairs accepted: {latest}",
        lines=tuple(
            Line(kind, _steps(*place(*_columns(roc, "far", "tar")))) for kind, roc in rocs.items()
        ),
        x_marks=tuple(
            Mark(round(float(x_scale(power)), 1), share(10.0**power))
            for power in range(math.ceil(low), 1)
        ),
        y_marks=y_scale.marks(4, shares=True),
        x_title="FAR: different pairs accepted",
        y_title="TAR: same pairs accepted",
        points=_points(rocs[first], place, "TAR", lambda tar: tar),
        untold=round(float(x_scale(told)), 1) if different > 10 else RIGHT,
    )


def det_chart(
    rocs: Mapping[str, Mapping[str, Sequence[float]]], *, pairs: int, eer: float
) -> Panel:
    """Chart the one error over the other on axes where normal scores give straight lines.

    Args:
        rocs: as for `roc_chart`.
        pairs: of the kind that there are fewer of; no error below 1 in so many is drawn.
        eer: equal error rate of the first.
    """
    least = max(_LEAST_SHARE, 1 / max(pairs, 10))
    normal = NormalDist()
    edge = normal.inv_cdf(least)
    x_scale, y_scale = Scale(edge, -edge, LEFT, RIGHT), Scale(edge, -edge, BOTTOM, TOP)

    def place(far: Floats, tar: Floats) -> tuple[list[float], list[float]]:
        deviates = [
            np.array([normal.inv_cdf(each) for each in errors.clip(least, 1 - least)])
            for errors in (far, 1 - tar)
        ]
        return _tenths(x_scale(deviates[0])), _tenths(y_scale(deviates[1]))

    def path(far: Floats, tar: Floats) -> str:
        inside = (np.minimum(far, 1 - tar) >= least) & (np.maximum(far, 1 - tar) <= 1 - least)
        return svg_path(*place(far[inside], tar[inside])) if inside.sum() > 1 else ""

    marks = [each for each in _DET_MARKS if least <= each <= 1 - least]
    first = next(iter(rocs))
    latest = f"equal error rate {share(eer)}"
    return Panel(
        name="det",
        title="DET",
        latest=latest,
        summary=f"Same pairs rejected over different pairs accepted: {latest}",
        lines=(
            Line("equal", f"M{LEFT} {BOTTOM}L{RIGHT} {TOP}"),
            *(Line(kind, path(*_columns(roc, "far", "tar"))) for kind, roc in rocs.items()),
        ),
        x_marks=_det_marks(x_scale, normal, marks, apart=34),
        y_marks=_det_marks(y_scale, normal, marks, apart=12),
        x_title="FAR: different pairs accepted",
        y_title="FRR: same pairs rejected",
        points=_points(rocs[first], place, "FRR", lambda tar: 1 - tar),
        trail=True,
    )


def histogram_chart(
    histogram: Mapping[str, Sequence[float]], *, threshold: float, eer: float
) -> Panel:
    """Chart which share of same and of different pairs has which score.

    Args:
        histogram: `edges` (N + 1) and counts `same` and `different` (N).
        threshold: where both errors are equal.
        eer: their rate there.
    """
    edges, same, different = _columns(histogram, "edges", "same", "different")
    heights = {"same": same / same.sum(), "different": different / different.sum()}
    highest = max(float(values.max()) for values in heights.values())
    x_scale = Scale(edges[0], edges[-1], LEFT, RIGHT)
    y_scale = Scale(0, 1.06 * highest, BOTTOM, TOP)
    px = _tenths(x_scale(edges))
    lines = tuple(
        Line(kind, stairs(px, _tenths(y_scale(values))), area=True)
        for kind, values in reversed(heights.items())
    )
    accepted = {kind: np.append(values[::-1].cumsum()[::-1], 0) for kind, values in heights.items()}
    said = [
        f"from {number(edge)} on: {share(true)} of same and {share(false)} of different pairs"
        for edge, true, false in zip(edges, accepted["same"], accepted["different"], strict=True)
    ]
    latest = f"both errors are {share(eer)} at a cosine of {number(threshold)}"
    upright = Mark(round(float(x_scale(threshold)), 1), number(threshold))
    return Panel(
        name="scores",
        title="Cosines of the pairs",
        latest=latest,
        summary=f"Cosines of same and of different pairs: {latest}",
        lines=lines,
        x_marks=x_scale.marks(5),
        y_marks=y_scale.marks(4, shares=True),
        x_title="cosine",
        y_title="share of the pairs of a kind",
        points=tuple((x, float(BOTTOM), text) for x, text in zip(px, said, strict=True)),
        upright=upright,
    )


def _columns(table: Mapping[str, Sequence[float]], *names: str) -> list[Floats]:
    return [np.array(table[name], dtype=np.float64) for name in names]


def _points(
    roc: Mapping[str, Sequence[float]],
    place: Callable[[Floats, Floats], tuple[list[float], list[float]]],
    name: str,
    error: Callable[[float], float],
) -> Points:
    far, tar, threshold = _columns(roc, "far", "tar", "threshold")
    chosen = np.unique(np.linspace(0, len(far) - 1, min(len(far), _MANY)).round().astype(int))
    px, py = place(far[chosen], tar[chosen])
    return tuple(
        (x, y, f"FAR {share(far[i])}, {name} {share(error(tar[i]))} from {number(threshold[i])} on")
        for x, y, i in zip(px, py, chosen.tolist(), strict=True)
    )


def _steps(x: Sequence[float], y: Sequence[float]) -> str:
    """Return the SVG path of a function that stays as it is until its next point."""
    parts = [f"M{x[0]:g} {y[0]:g}"]
    for (before, _), (here, height) in zip(
        zip(x, y, strict=True), zip(x[1:], y[1:], strict=True), strict=False
    ):
        parts += ([f"H{here:g}"] if here != before else []) + [f"V{height:g}"]
    return "".join(parts)


def stairs(edges: Sequence[float], tops: Sequence[float]) -> str:
    """Return the SVG path of a histogram's outline, from floor to floor."""
    stairs = "".join(f"V{top:g}H{end:g}" for top, end in zip(tops, edges[1:], strict=True))
    return f"M{edges[0]:g} {BOTTOM}{stairs}V{BOTTOM}"


def _det_marks(
    scale: Scale, normal: NormalDist, marks: Sequence[float], *, apart: float
) -> tuple[Mark, ...]:
    """Return those of the marks that have room for their text, the middle one first."""
    kept: list[Mark] = []
    for each in sorted(marks, key=lambda mark: abs(mark - 0.5)):
        place = round(float(scale(normal.inv_cdf(each))), 1)
        if all(abs(place - other.place) >= apart for other in kept):
            kept.append(Mark(place, share(each)))
    return tuple(kept)


def _tenths(values: Floats) -> list[float]:
    return [round(float(value), 1) for value in values]
