"""Line charts as geometry: the template draws them as static SVG, which prints and needs no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 360, 216
LEFT, RIGHT, TOP, BOTTOM = 48, 348, 14, 186  # of the plot inside
THINNED = 400  # points drawn of a line at most: more than the plot has pixels
SMOOTHED_SHARE = 20  # a smoothed value is the mean over this fraction of the line: one in 20

Numbers = Sequence[float]
Say = Callable[[float], str]


def number(value: float) -> str:
    """Return a number as people write it: at most four digits that count, thousands apart."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if 0.01 <= abs(value) < 10 else f"{value:.4g}"


def percent(share: float) -> str:
    """Return a share in [0, 1] as a percentage with one decimal."""
    return f"{100 * share:.1f}\u00a0%"


@dataclass(frozen=True)
class Mark:
    """A place on an axis, in pixels, and what is written there."""

    place: float
    text: str


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
    references: tuple[Mark, ...]
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
    say: Say = number,
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
        say: how a y is written.
        smooth: whether a running mean is drawn over the values.
        references: (y, text) of horizontal lines.
        include: y that must be inside the plot.

    Returns:
        The chart, or none where no value is finite.
    """
    kept = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    if not kept:
        return None
    xs, ys = (np.array(column, dtype=np.float64) for column in zip(*kept, strict=True))
    mean = running_mean(ys, window=max(1, len(ys) // SMOOTHED_SHARE)) if smooth else ys
    shown = thin(ys)
    xs, ys, mean = xs[shown], ys[shown], mean[shown]
    x_scale = Scale.over(xs, LEFT, RIGHT)
    y_scale = Scale.over(
        np.concatenate([ys, np.array([*include, *(value for value, _ in references)])]),
        BOTTOM,
        TOP,
    )
    smoothed = smooth and len(ys) >= SMOOTHED_SHARE
    px, py = x_scale(xs), y_scale(ys)

    def words(place: int) -> str:
        average = f" (mean {say(mean[place])})" if smoothed else ""
        return f"{say(ys[place])}{average} at {x_title} {number_of(xs[place])}"

    return Chart(
        name=name,
        title=title,
        latest=words(len(ys) - 1),
        summary=(
            f"{title} over {x_title}: from {say(ys[0])} to {say(ys[-1])}, "
            f"lowest {say(ys.min())}, highest {say(ys.max())}"
        ),
        path=svg_path(px, py),
        smooth=svg_path(px, y_scale(mean)) if smoothed else "",
        dots=tuple(zip(_tenths(px), _tenths(py), strict=True)) if len(px) <= 60 and not smooth else (),
        x_marks=x_scale.marks(5, number_of),
        y_marks=y_scale.marks(4, say),
        references=tuple(Mark(float(y_scale(value)), text) for value, text in references),
        x_title=x_title,
        y_title="",
        points=tuple(
            (a, b, words(i))
            for i, (a, b) in enumerate(zip(_tenths(px), _tenths(y_scale(mean)), strict=True))
        ),
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
    """Chart the way of a point (x, y) over time, with `names` saying when; none if all is not finite."""
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
    said = [f"{number(a)}, {number(b)} at {when}" for a, b, when in kept]
    return Chart(
        name=name,
        title=title,
        latest=said[-1],
        summary=f"{y_title} against {x_title}: from {said[0]} to {said[-1]}",
        path=svg_path(x_scale(xs), y_scale(ys)),
        smooth="",
        dots=tuple(zip(px, py, strict=True)),
        x_marks=x_scale.marks(4, number),
        y_marks=y_scale.marks(4, number),
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
    def over(cls, values: npt.NDArray[np.float64], start: float, end: float) -> Scale:
        """Return the scale that just holds all values; a single value lies in its middle."""
        low, high = float(values.min()), float(values.max())
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            margin = abs(low) / 2 or 0.5
            low, high = low - margin, high + margin
        return cls(low, high, start, end)

    def __call__(
        self, value: float | npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:  # a 0-d array for a number
        """Return the pixel of a value, or of each of several."""
        share = (np.asarray(value, dtype=np.float64) - self.low) / (self.high - self.low)
        return np.asarray(self.start + share * (self.end - self.start))

    def marks(self, about: int, say: Say) -> tuple[Mark, ...]:
        """Return around `about` ticks at round values, each with its words."""
        values = round_values(self.low, self.high, about)
        return tuple(Mark(round(float(self(value)), 1), say(value)) for value in values)


def round_values(low: float, high: float, about: int) -> list[float]:
    """Return ascending multiples of 1, 2 or 5 times a power of ten inside [low, high]."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((power * lead for lead in (1, 2, 5, 10)), key=lambda step: abs(step - rough))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{multiple * step:.12g}") for multiple in range(first, last + 1)]


def running_mean(values: npt.NDArray[np.float64], *, window: int) -> npt.NDArray[np.float64]:
    """Return the mean over up to `window` values on each side of every value, (N,); no lag."""
    total = np.concatenate([[0.0], values.cumsum()])
    place = np.arange(len(values))
    reach = np.minimum(window, np.minimum(place, len(values) - 1 - place))  # symmetric at the ends
    result: npt.NDArray[np.float64] = (total[place + reach + 1] - total[place - reach]) / (
        2 * reach + 1
    )
    return result


def thin(values: npt.NDArray[np.float64], *, limit: int = THINNED) -> npt.NDArray[np.int64]:
    """Return ascending positions, about `limit` at most, that keep every peak, valley and both ends."""
    if len(values) <= limit:
        return np.arange(len(values))
    parts = np.array_split(np.arange(len(values)), limit // 2)
    peaks = [part[[values[part].argmin(), values[part].argmax()]] for part in parts]
    return np.unique(np.concatenate([[0], *peaks, [len(values) - 1]]))


def svg_path(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> str:
    """Return the SVG path through points given in pixels."""
    pairs = zip(x, y, strict=True)
    return "".join(f"{'L' if i else 'M'}{a:.1f} {b:.1f}" for i, (a, b) in enumerate(pairs))


def number_of(count: float) -> str:
    """Return a step or an epoch: whole where it is whole."""
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.1f}"


def _tenths(values: npt.NDArray[np.float64]) -> list[float]:
    return [round(float(value), 1) for value in values]
