"""A run as one self-contained HTML file: it works from the disk, offline, and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lookalike.durable import write_atomically
from lookalike.report.charts import Chart, line_chart, number, percent, trail_chart
from lookalike.report.confusion import Confusion, sort_confusion
from lookalike.report.headline import tell, weigh
from lookalike.report.health import RETRIEVAL, judge
from lookalike.report.neighbours import (
    Neighbours,
    choose_queries,
    closest_pairs,
    find_neighbours,
    hardest_pairs,
    neighbour_agreement,
)
from lookalike.report.pictures import (
    Plane,
    dots_path,
    principal_plane,
    thumbnail_sheet,
    views_picture,
)
from lookalike.report.reading import Gallery, RunRecord, read_run

HERE = Path(__file__).parent
NEIGHBOURS = 12  # of each image, shown when it is clicked
IN_ROW = 8  # neighbours of a query in the gallery
QUERIES = 10
PAIRS = 8
UNREADABLE = 50  # listed; all are counted
LARGEST_GALLERY = 5000
MAP_SIDE = 1000  # units of the map without script, from the middle to the farthest point
COLOURS = 10  # classes that get a colour of their own
CURVES = {"loss": "Loss", "lr": "Learning rate"}


def write_report(run: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a run folder; the same folder gives the same bytes.

    Args:
        run: folder that `lookalike train` wrote, finished or not.
        out: file to write, or a folder that gets `report.html` (default: inside the run folder).

    Returns:
        The file that was written.

    Raises:
        UsageError: the folder holds no run.
        LookalikeError: no space is left.
        OSError: the file cannot be written.
    """
    folder = Path(run)
    page = render_page(read_run(folder))
    target = folder if out is None else Path(out)
    if target.is_dir():
        target /= "report.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    # a file name may hold bytes that are no text: they are written as \\udcNN, not refused
    write_atomically(target, page.encode("utf-8", errors="backslashreplace"))
    return target


def render_page(record: RunRecord) -> str:
    """Return the HTML of a run."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number}
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    evaluation = record.evaluation
    confusion, no_confusion = _confusion(record)
    monitors, curves = _monitor_charts(record), _curve_charts(record)
    show = _Show.of(record.gallery) if record.gallery else None
    views, no_views = _views(record)
    return environment.get_template("page.html").render(
        headline=tell(record.run, record.resolved),
        version=record.run.get("lookalike", "?"),
        started=record.run.get("started"),
        scores=weigh(evaluation, confusion) if evaluation else None,
        absence=record.absence,
        damaged=record.damaged,
        log=record.log,
        verdict=judge(record.monitors),
        monitors=monitors,
        curves=curves,
        views=views,
        no_views=no_views,
        show=show,
        no_show=(
            "The gallery holds a single image, which has no neighbours."
            if record.gallery
            else record.absence("gallery.npz")
        ),
        confusion=confusion,
        no_confusion=no_confusion,
        choices=_mappings(record.run.get("choices")),
        settings=flatten(record.resolved),
        environment=flatten(record.run.get("environment") or {}),
        unreadable=record.unreadable,
        unreadable_limit=UNREADABLE,
        command=_command(record.run.get("command")),
        run_folder=str(record.folder),
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704  ours
        script=Markup(script),  # noqa: S704  ours
        script_hash=digest,
        data={
            "charts": {chart.name: chart.points for chart in [*monitors, *curves]},
            "gallery": show.data if show else None,
        },
    )


@dataclass(frozen=True)
class Shown:
    """An image on the page.

    Args:
        position: its place in the gallery.
        column: its place on the sheet of thumbnails.
        row: likewise.
        name: its id.
        class_name: its class, if it is known.
        colour: number of the class's colour; none if the class is not known.
        cosine: similarity with the image it stands beside, in words; empty if there is none.
        same: whether it has that image's class; none where one of them is not known.
    """

    position: int
    column: int
    row: int
    name: str
    class_name: str | None
    colour: int | None
    cosine: str = ""
    same: bool | None = None


class _Show:
    """The gallery as the page shows it: rows of neighbours, pairs, the map, and data for the script."""

    def __init__(self, gallery: Gallery, neighbours: Neighbours) -> None:
        self._gallery = gallery
        self._neighbours = neighbours
        self.sheet = thumbnail_sheet(gallery.thumbs)
        self.count = len(gallery)
        self.labelled = bool((gallery.labels >= 0).any())
        self.agreement = neighbour_agreement(neighbours, gallery.labels)
        self.rows = [
            (
                self._shown(query),
                [
                    self._shown(int(other), beside=query, cosine=float(cosine))
                    for other, cosine in zip(
                        neighbours.positions[query, :IN_ROW],
                        neighbours.cosines[query, :IN_ROW],
                        strict=True,
                    )
                ],
            )
            for query in choose_queries(gallery.labels, count=QUERIES)
        ]
        self.matches = sum(bool(other.same) for _, others in self.rows for other in others)
        self.judged = sum(other.same is not None for _, others in self.rows for other in others)
        self.hardest = self._pairs(hardest_pairs(neighbours, count=PAIRS))
        self.closest = self._pairs(closest_pairs(neighbours, count=PAIRS))
        self.plane: Plane | None = None
        self.no_map = ""
        try:
            self.plane = principal_plane(gallery.vectors)
        except ValueError as problem:
            self.no_map = f"There is no map: {problem}."
        used = sorted(set(gallery.labels[gallery.labels >= 0].tolist()))
        self.legend = [
            (label, gallery.class_names[label], int((gallery.labels == label).sum()))
            for label in used
        ]

    @classmethod
    def of(cls, gallery: Gallery) -> _Show | None:
        """Return what is shown of a gallery; none of a single image, which has no neighbour."""
        if len(gallery) < 2:
            return None
        gallery = _at_most(gallery, LARGEST_GALLERY)
        return cls(gallery, find_neighbours(gallery.vectors, gallery.labels, count=NEIGHBOURS))

    @property
    def dots(self) -> list[tuple[int | None, str]]:
        """(colour, SVG path) of the map's dots, a class at a time, those without a class first."""
        if self.plane is None:
            return []
        points = self.plane.points * [MAP_SIDE, -MAP_SIDE]  # up is positive
        labels = self._gallery.labels
        groups = [(label, np.flatnonzero(labels == label)) for label in sorted(set(labels.tolist()))]
        return [(_colour(label), dots_path(points, chosen.tolist())) for label, chosen in groups]

    @property
    def extent(self) -> tuple[float, float]:
        """Half the width and half the height of the map, in its own units."""
        if self.plane is None:
            return (0.0, 0.0)
        width, height = np.abs(self.plane.points).max(axis=0) * MAP_SIDE
        return float(width), float(height)

    @property
    def data(self) -> dict[str, Any]:
        """What the script needs: names, classes, places and neighbours of all images."""
        gallery = self._gallery
        return {
            "names": list(gallery.ids),
            "labels": gallery.labels.tolist(),
            "classes": list(gallery.class_names),
            "near": self._neighbours.positions.tolist(),
            "cosines": [[f"{c:.2f}" for c in row] for row in self._neighbours.cosines.tolist()],
            "columns": self.sheet.columns,
            "rows": self.sheet.rows,
            "side": self.sheet.side,
            "colours": COLOURS,
            "points": None if self.plane is None else np.round(self.plane.points, 4).tolist(),
        }

    def _shown(
        self, position: int, *, beside: int | None = None, cosine: float | None = None
    ) -> Shown:
        gallery = self._gallery
        label = int(gallery.labels[position])
        same = None
        if beside is not None and label >= 0 and gallery.labels[beside] >= 0:
            same = bool(label == gallery.labels[beside])
        return Shown(
            position=position,
            column=position % self.sheet.columns,
            row=position // self.sheet.columns,
            name=gallery.ids[position],
            class_name=gallery.class_of(position),
            colour=_colour(label),
            cosine="" if cosine is None else f"{cosine:.2f}",
            same=same,
        )

    def _pairs(self, pairs: Iterable[tuple[int, int, float]]) -> list[tuple[Shown, Shown]]:
        return [
            (self._shown(first), self._shown(second, beside=first, cosine=cosine))
            for first, second, cosine in pairs
        ]


def flatten(settings: object, prefix: str = "") -> list[tuple[str, str]]:
    """Return (dotted name, value in words) of every leaf of nested settings, in their order."""
    if isinstance(settings, Mapping) and (settings or not prefix):
        return [
            leaf
            for name, value in settings.items()
            for leaf in flatten(value, f"{prefix}.{name}" if prefix else str(name))
        ]
    nested = isinstance(settings, Sequence) and any(isinstance(each, Mapping) for each in settings)
    if isinstance(settings, Sequence) and nested and not isinstance(settings, str):
        return [
            leaf for place, each in enumerate(settings) for leaf in flatten(each, f"{prefix}.{place}")
        ]
    if isinstance(settings, Sequence) and not isinstance(settings, str):
        return [(prefix, ", ".join(map(str, settings)))]
    return [(prefix, "none" if settings is None else str(settings))]


def _monitor_charts(record: RunRecord) -> list[Chart]:
    """Return the charts of the collapse panel, those that the run has numbers for."""
    rows = record.monitors

    def over_epochs(
        key: str,
        title: str,
        references: Sequence[tuple[float, str]],
        include: Sequence[float] = (0,),
        say: Any = number,
    ) -> Chart | None:
        kept = [(row["epoch"], row[key]) for row in rows if _has_numbers(row, "epoch", key)]
        x, y = zip(*kept, strict=True) if kept else ((), ())
        return line_chart(
            key, title, x, y, x_title="epoch", references=references, include=include, say=say
        )

    baselines = record.evaluation or {}
    known = [
        (baselines[key], name)
        for key, name in (
            ("raw_pixels_knn_top1", "raw pixels, in the evaluation"),
            ("untrained_knn_top1", "untrained, in the evaluation"),
        )
        if _has_numbers(baselines, key)
    ]
    both = [row for row in rows if _has_numbers(row, "alignment", "uniformity", "epoch")]
    charts = [
        over_epochs("spread", "Spread", [(0, "collapsed"), (1, "even")]),
        over_epochs("rankme", "Effective rank", [(1, "one direction")]),
        trail_chart(
            "alignment-uniformity",
            "Alignment and uniformity",
            [row["alignment"] for row in both],
            [row["uniformity"] for row in both],
            x_title="alignment (lower: views agree)",
            y_title="uniformity (lower: more even)",
            names=[f"epoch {row['epoch']}" for row in both],
        ),
        *(
            over_epochs(key, name, known if key == "knn_top1" else [], (0, 1), percent)
            for key, name in RETRIEVAL.items()
        ),
    ]
    return [chart for chart in charts if chart]


def _curve_charts(record: RunRecord) -> list[Chart]:
    """Return the charts of training: every number that was logged, then the speed."""
    names = {key for row in record.train for key in row if _has_numbers(row, key)}
    ordered = [*CURVES, *sorted(names - {"step", "epoch", *CURVES})]
    charts = [
        _over_steps(
            record.train, key, CURVES.get(key, key.replace("_", " ").capitalize()), smooth=key != "lr"
        )
        for key in ordered
    ]
    charts += [
        _over_steps(record.speed, "images_per_second", "Images a second", include=(0,)),
        _over_steps(
            record.speed, "wait_share", "Time spent waiting for images", include=(0, 0.1), say=percent
        ),
    ]
    return [chart for chart in charts if chart]


def _over_steps(rows: Sequence[Mapping[str, Any]], key: str, title: str, **drawn: Any) -> Chart | None:
    kept = [(row["step"], row[key]) for row in rows if _has_numbers(row, "step", key)]
    x, y = zip(*kept, strict=True) if kept else ((), ())
    return line_chart(key, title, x, y, x_title="step", **drawn)


def _confusion(record: RunRecord) -> tuple[Confusion | None, str]:
    """Return the sorted confusion matrix, or why there is none."""
    if record.evaluation is None:
        return None, record.absence("evaluation.json")
    counts, names = record.evaluation.get("confusion"), record.evaluation.get("class_names")
    if not counts or not names:
        return None, "The evaluation has no confusion matrix: it needs labels."
    try:
        return sort_confusion(counts, names), ""
    except (ValueError, TypeError) as problem:
        return None, f"The confusion matrix cannot be shown: {problem}."


def _views(record: RunRecord) -> tuple[tuple[str, int, int] | None, str]:
    """Return the picture of the views, or why there is none."""
    path = record.folder / "views.png"
    if not path.is_file():
        return None, record.absence(path.name)
    try:
        return views_picture(path), ""
    except (OSError, ValueError, SyntaxError) as problem:  # Pillow says all three of a bad PNG
        return None, f"{path.name} cannot be shown: {problem}."


def _at_most(gallery: Gallery, limit: int) -> Gallery:
    """Return the gallery, or so many of its images, chosen by a fixed seed."""
    if len(gallery) <= limit:
        return gallery
    chosen: npt.NDArray[np.int64] = np.sort(
        np.random.default_rng(0).choice(len(gallery), limit, replace=False)
    )
    return Gallery(
        gallery.thumbs[chosen],
        tuple(gallery.ids[place] for place in chosen.tolist()),
        gallery.labels[chosen],
        gallery.class_names,
        gallery.vectors[chosen],
    )


def _colour(label: int) -> int | None:
    return label % COLOURS if label >= 0 else None


def _has_numbers(row: Mapping[str, Any], *keys: str) -> bool:
    values = [row.get(key) for key in keys]
    return all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )


def _mappings(rows: object) -> list[Mapping[str, Any]]:
    """Return those of the rows that can be read as named values."""
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _command(command: object) -> str:
    """Return what to type: the program by its name, not by where it was installed."""
    if not isinstance(command, list) or not command:
        return str(command or "")
    program, *arguments = (str(part) for part in command)
    names = ["python", "-m", "lookalike"] if program.endswith("__main__.py") else [Path(program).name]
    return shlex.join([*names, *arguments])
