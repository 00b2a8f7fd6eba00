"""Line charts as geometry: the template draws them as SVG, which prints and needs no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 360, 216
LEFT, RIGHT, TOP, BOTTOM = 48, 348, 14, 186  # of the plot inside
THINNED = 400  # points drawn of a line at most: more than the plot has pixels
SMOOTHED_SHARE = 20  # a running mean reaches over one in so many values to each side
DOTTED = 60  # lines of at most so many values get dots
ROOM = 0.06  # above and below the values, as a share of their range

Numbers = Sequence[float]


def number(value: float) -> str:
    """Return a number as people write it: at most four digits that count, thousands apart."""
    words = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return words.replace("e-0", "e-").replace("-", "\u2212")


def percent(share: float) -> str:
    """Return a share in [0, 1] as a percentage with one decimal."""
    return f"{100 * share:.1f}\u00a0%"


@dataclass(frozen=True)
class Mark:
    """A place on an axis, in pixels, and what is written there."""

    place: float
    text: str


@dataclass(frozen=True)
class Reference:
    """A horizontal line to compare with.

    Args:
        place: in pixels.
        text: what it stands for.
        text_place: where that is written, on the side of the line where the last value is not.
    """

    place: float
    text: str
    text_place: float


@dataclass(frozen=True)
class Chart:
    """One small chart.

    Args:
        name: its key among the page's charts.
        title: what it shows.
        latest: its last value, in words.
        summary: the whole chart in one sentence, for those who cannot see it.
        path: SVG path of the values.
        smooth: SVG path of their running mean; empty where there is none.
        dots: (x, y) of values that get a dot: all where they are few.
        x_marks: ticks of the horizontal axis.
        y_marks: ticks of the vertical axis.
        references: horizontal lines to compare with.
        x_title: what the horizontal axis counts.
        y_title: what the vertical axis measures, where the title does not say it.
        points: [x, y, what to say] of each drawn value, in pixels.
    """

    name: str
    title: str
    latest: str
    summary: str
    path: str
    smooth: str
    dots: tuple[tuple[float, float], ...]
    x_marks: tuple[Mark, ...]
    y_marks: tuple[Mark, ...]
    references: tuple[Reference, ...]
    x_title: str
    y_title: str
    points: tuple[tuple[float, float, str], ...]


def line_chart(
    name: str,
    title: str,
    x: Numbers,
    y: Numbers,
    *,
    x_title: str,
    shares: bool = False,
    smooth: bool = False,
    references: Sequence[tuple[float, str]] = (),
    include: Numbers = (),
) -> Chart | None:
    """Chart y over x.

    Args:
        name: key among the page's charts.
        title: what is shown.
        x: ascending.
        y: as many; values that are not finite are left out.
        x_title: what x counts.
        shares: whether y are shares, to be written as percentages.
        smooth: whether a running mean is drawn over the values.
        references: (y, text) of horizontal lines.
        include: y that must be inside the plot.

    Returns:
        The chart, or none where no value is finite.
    """
    kept = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    if not kept:
        return None
    say = percent if shares else number
    xs, ys = (np.array(column, dtype=np.float64) for column in zip(*kept, strict=True))
    smooth = smooth and len(ys) >= SMOOTHED_SHARE
    mean = running_mean(ys, reach=len(ys) // SMOOTHED_SHARE) if smooth else ys
    shown = thin(ys)
    xs, ys, mean = xs[shown], ys[shown], mean[shown]
    x_scale = Scale.over(xs, LEFT, RIGHT, include=[xs[0], xs[-1]])
    y_scale = Scale.over(ys, BOTTOM, TOP, include=[*include, *(value for value, _ in references)])
    px, py = _tenths(x_scale(xs)), _tenths(y_scale(ys))
    smooth_py = _tenths(y_scale(mean))
    said = [
        f"{say(value)}{f', mean {say(average)}' if smooth else ''}, {x_title} {_count(where)}"
        for where, value, average in zip(xs, ys, mean, strict=True)
    ]
    return Chart(
        name=name,
        title=title,
        latest=said[-1],
        summary=(
            f"{title} over {x_title}: from {say(ys[0])} to {say(ys[-1])}, "
            f"lowest {say(ys.min())}, highest {say(ys.max())}"
        ),
        path=svg_path(px, py),
        smooth=svg_path(px, smooth_py) if smooth else "",
        dots=tuple(zip(px, py, strict=True)) if len(px) <= DOTTED and not smooth else (),
        x_marks=x_scale.marks(5),
        y_marks=y_scale.marks(4, shares=shares),
        references=tuple(
            _reference(float(y_scale(value)), text, py[-1]) for value, text in references
        ),
        x_title=x_title,
        y_title="",
        points=tuple(zip(px, smooth_py, said, strict=True)),
    )


def trail_chart(
    name: str,
    title: str,
    x: Numbers,
    y: Numbers,
    *,
    x_title: str,
    y_title: str,
    names: Sequence[str],
) -> Chart | None:
    """Chart the way of a point (x, y) over time; `names` say when. None if nothing is finite."""
    kept = [
        (a, b, when)
        for a, b, when in zip(x, y, names, strict=True)
        if math.isfinite(a) and math.isfinite(b)
    ]
    if not kept:
        return None
    xs = np.array([a for a, _, _ in kept])
    ys = np.array([b for _, b, _ in kept])
    x_scale, y_scale = Scale.over(xs, LEFT, RIGHT), Scale.over(ys, BOTTOM, TOP)
    px, py = _tenths(x_scale(xs)), _tenths(y_scale(ys))
    said = [f"{number(a)} and {number(b)}, {when}" for a, b, when in kept]
    return Chart(
        name=name,
        title=title,
        latest=said[-1],
        summary=f"{y_title} against {x_title}: from {said[0]} to {said[-1]}",
        path=svg_path(px, py),
        smooth="",
        dots=tuple(zip(px, py, strict=True)),
        x_marks=x_scale.marks(4),
        y_marks=y_scale.marks(4),
        references=(),
        x_title=x_title,
        y_title=y_title,
        points=tuple(zip(px, py, said, strict=True)),
    )


@dataclass(frozen=True)
class Scale:
    """A straight map from values to pixels.

    Args:
        low: value at pixel `start`.
        high: value at pixel `end`; above `low`.
        start: pixel of the low end.
        end: pixel of the high end.
    """

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(
        cls,
        values: npt.NDArray[np.float64],
        start: float,
        end: float,
        *,
        include: Numbers = (),
    ) -> Scale:
        """Return a scale that holds all values with some room, and what to include without."""
        low, high = float(values.min()), float(values.max())
        room = ROOM * max(high - low, 1e-3 * abs(high)) or 0.5
        floor, ceiling = min(include, default=math.inf), max(include, default=-math.inf)
        low = floor if floor <= low else low - room
        high = ceiling if ceiling >= high else high + room
        return cls(low, high, start, end) if low < high else cls(low - 0.5, high + 0.5, start, end)

    def __call__(
        self, value: float | npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:  # a 0-d array for a number
        """Return the pixel of a value, or of each of several."""
        share = (np.asarray(value, dtype=np.float64) - self.low) / (self.high - self.low)
        return np.asarray(self.start + share * (self.end - self.start))

    def marks(self, about: int, *, shares: bool = False) -> tuple[Mark, ...]:
        """Return around `about` ticks at round values, with no more decimals than they need."""
        factor, unit = (100, "\u00a0%") if shares else (1, "")
        values = round_values(self.low, self.high, about)
        step = factor * (values[1] - values[0]) if len(values) > 1 else 1.0
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return tuple(
            Mark(
                round(float(self(value)), 1),
                number(value)
                if decimals > 4
                else f"{factor * value:,.{decimals}f}{unit}".replace("-", "\u2212"),
            )
            for value in values
        )


def round_values(low: float, high: float, about: int) -> list[float]:
    """Return ascending multiples of 1, 2 or 5 times a power of ten inside [low, high]."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((power * lead for lead in (1, 2, 5, 10)), key=lambda step: abs(step - rough))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{multiple * step:.12g}") for multiple in range(first, last + 1)]


def running_mean(values: npt.NDArray[np.float64], *, reach: int) -> npt.NDArray[np.float64]:
    """Return the mean of each value with up to `reach` values before and after it, (N,)."""
    total = np.concatenate([[0.0], values.cumsum()])
    place = np.arange(len(values))
    start, stop = np.maximum(place - reach, 0), np.minimum(place + reach + 1, len(values))
    result: npt.NDArray[np.float64] = (total[stop] - total[start]) / (stop - start)
    return result


def thin(values: npt.NDArray[np.float64], *, limit: int = THINNED) -> npt.NDArray[np.int64]:
    """Return ascending positions, about `limit`, that keep all peaks, valleys and both ends."""
    if len(values) <= limit:
        return np.arange(len(values))
    parts = np.array_split(np.arange(len(values)), limit // 2)
    peaks = [part[[values[part].argmin(), values[part].argmax()]] for part in parts]
    return np.unique(np.concatenate([[0], *peaks, [len(values) - 1]]))


def svg_path(x: Numbers, y: Numbers) -> str:
    """Return the SVG path through points given in pixels."""
    pairs = zip(x, y, strict=True)
    return "".join(f"{'L' if i else 'M'}{a:g} {b:g}" for i, (a, b) in enumerate(pairs))


def _reference(place: float, text: str, last: float) -> Reference:
    under = last < place < BOTTOM - 16  # there is no room under a line at the bottom
    return Reference(round(place, 1), text, round(place + 12 if under else place - 4, 1))


def _count(value: float) -> str:
    """Return a step or an epoch: whole where it is whole."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _tenths(values: npt.NDArray[np.float64]) -> list[float]:
    return [round(float(value), 1) for value in values]
