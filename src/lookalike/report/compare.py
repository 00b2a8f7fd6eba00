"""Several runs beside one another in one self-contained HTML file, which works offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import lookalike
from lookalike.durable import write_atomically
from lookalike.errors import UsageError
from lookalike.report.charts import number, percent
from lookalike.report.differences import ABSENT, differing, measures, weigh_measures
from lookalike.report.exhibit import COLOURS, MAP_MARGIN, MAP_SIDE
from lookalike.report.headline import Headline, tell
from lookalike.report.html import command_line, flatten
from lookalike.report.overlay import overlay_charts
from lookalike.report.pictures import Sheet, dots_path, principal_plane, thumbnail_sheet
from lookalike.report.reading import RunRecord, is_number, read_run
from lookalike.report.shared_gallery import COMPARED, SharedGallery, share_gallery
from lookalike.report.template import encoded, render

MOST = 8  # runs: as many colours as can be told apart
IN_ROW = 8  # neighbours of a query
FOREMOST = 24  # settings that differ, shown at once
OF_THE_LOSS = ("method", "method_arguments", "loss", "loss_arguments", "batch_size")
SHEET_BYTES = 4_500_000  # of JPEG: 6 MB as base64, beside the neighbours of every run

STUDENT = (
    ("Parameters", "parameters", "{:,.0f}"),
    ("Megabytes", "megabytes", "{:,.2f}"),
    ("Images a second", "images_per_second", "{:,.0f}"),
    ("kNN accuracy", "knn_top1", "{:.1%}"),
    ("Recall at 1", "recall_at_1", "{:.1%}"),
)  # title, key of a side in comparison.json, how it is written


class Compared(NamedTuple):
    """One of the runs.

    letter: that stands for it.
    name: of its folder, or as much of its path as sets it apart.
    kind: of its lines, as the style draws them.
    headline: what it is.
    command: that trained it.
    """

    letter: str
    name: str
    kind: str
    headline: Headline
    command: str


class Thumb(NamedTuple):
    """An image on the page; `same` says whether it has the class of the one it stands beside."""

    position: int
    column: int
    row: int
    name: str
    class_name: str | None
    cosine: str = ""
    same: bool | None = None


class Query(NamedTuple):
    """An image with its neighbours in every run.

    image: asked about.
    kept: share of its nearest that two runs agree on.
    rows: (letter, neighbours, nearest first) of each run.
    """

    image: Thumb
    kept: str
    rows: list[tuple[str, list[Thumb]]]


class Map(NamedTuple):
    """Where a run puts the images; `absence` says why it does not."""

    letter: str
    share: float = 0.0
    dots: Sequence[tuple[str, str]] = ()
    view_box: str = ""
    absence: str = ""


@dataclass(frozen=True)
class Student:
    """A student beside its teacher, from comparison.json.

    Args:
        letter: of the run.
        rows: (measure, of the teacher, of the student).
        sentence: what else was found.
    """

    letter: str
    rows: tuple[tuple[str, str, str], ...]
    sentence: str


def write_comparison(runs: Sequence[str | Path], out: str | Path) -> Path:
    """Write several runs as one page; the same folders give the same bytes.

    Args:
        runs: 2 to 8 folders that `lookalike train` wrote, finished or not, each once.
        out: file to write, or a folder that gets `compare.html`.

    Returns:
        The file that was written.

    Raises:
        UsageError: a folder holds no run or is named twice, or there are too few or too many.
        LookalikeError: no space is left.
        OSError: the file cannot be written.
    """
    folders = [Path(run) for run in runs]
    if not 2 <= len(folders) <= MOST:
        raise UsageError(f"a comparison is of 2 to {MOST} runs, got {len(folders)}")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("a run is named twice\n  fix: name each folder once")
    page = render_comparison([read_run(folder) for folder in folders])
    target = Path(out)
    if target.is_dir():
        target /= "compare.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, encoded(page))
    return target


def render_comparison(runs: Sequence[RunRecord]) -> str:
    """Return the HTML of several runs."""
    records = dict(zip(ascii_uppercase, runs, strict=False))
    names = _names([record.folder for record in runs])
    charts = overlay_charts(records)
    shared, no_shared = _shared(records)
    sheet = thumbnail_sheet(shared.first.thumbs, budget=SHEET_BYTES) if shared else None
    planes, maps = _maps(shared) if shared else ({}, [])
    environments = [
        dict(flatten(record.run.get("environment") or {}))
        | {"lookalike": str(record.run.get("lookalike", ABSENT))}
        for record in runs
    ]
    return render(
        "compare.html",
        styles=("page.css", "compare.css"),
        scripts=("page.js", "compare.js"),
        version=lookalike.__version__,
        runs=[
            Compared(
                letter, name, f"run{place}", tell(record), command_line(record.run.get("command"))
            )
            for place, ((letter, record), name) in enumerate(
                zip(records.items(), names, strict=True)
            )
        ],
        measures=measures(records),
        verdicts=weigh_measures(records),
        settings=differing([dict(flatten(record.resolved)) for record in runs]),
        foremost=FOREMOST,
        environment=differing(environments),
        charts=charts,
        alike=len({tuple(str(each.resolved.get(key)) for key in OF_THE_LOSS) for each in runs})
        == 1,
        damaged=[
            (letter, name, why)
            for letter, each in records.items()
            for name, why in each.damaged.items()
        ],
        shared=shared,
        no_shared=no_shared,
        sheet=sheet,
        compared=COMPARED,
        queries=_queries(shared, sheet, shared.queries) if shared and sheet else [],
        changed=_queries(shared, sheet, shared.changed) if shared and sheet else [],
        maps=maps,
        students=[
            student
            for letter, record in records.items()
            if (student := _student(letter, record)) is not None
        ],
        data={
            "charts": {chart.name: chart.points for chart in charts},
            "gallery": None,
            "shared": _data(shared, sheet, planes) if shared and sheet else None,
        },
    )


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the names of folders, with as many parents as it takes to tell them apart."""
    whole = [folder.resolve().parts for folder in folders]
    for count in range(1, max(map(len, whole))):
        names = ["/".join(parts[-count:]) for parts in whole]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def _shared(records: Mapping[str, RunRecord]) -> tuple[SharedGallery | None, list[str]]:
    """Return what the runs that have a gallery share, and in sentences what cannot be compared."""
    galleries = {letter: each.gallery for letter, each in records.items() if each.gallery}
    said = [
        f"{letter}: {record.absence('gallery.npz')} lookalike evaluate RUN --data SOURCE makes one."
        for letter, record in records.items()
        if not record.gallery
    ]
    if len(galleries) < 2:
        return None, [*said, "Neighbours and maps need the galleries of two runs at least."]
    try:
        return share_gallery(galleries), said
    except ValueError as problem:
        return None, [*said, f"{problem}."]


def _queries(shared: SharedGallery, sheet: Sheet, positions: Sequence[int]) -> list[Query]:
    labels = shared.first.labels

    def thumb(position: int, cosine: float | None = None, beside: int | None = None) -> Thumb:
        known = beside is not None and labels[position] >= 0 and labels[beside] >= 0
        row, column = divmod(position, sheet.columns)
        return Thumb(
            position,
            column,
            row,
            shared.first.ids[position],
            shared.first.class_of(position),
            "" if cosine is None else f"{cosine:.2f}",
            bool(labels[position] == labels[beside]) if known else None,
        )

    return [
        Query(
            thumb(query),
            percent(float(shared.kept[query])),
            [
                (
                    letter,
                    [
                        thumb(other, cosine, query)
                        for other, cosine in zip(
                            near.positions[query, :IN_ROW].tolist(),
                            near.cosines[query, :IN_ROW].tolist(),
                            strict=True,
                        )
                    ],
                )
                for letter, near in shared.neighbours.items()
            ],
        )
        for query in positions
    ]


def _maps(shared: SharedGallery) -> tuple[dict[str, npt.NDArray[np.float64]], list[Map]]:
    """Return each run's places of the images, all turned to lie as in the first, and its map."""
    planes: dict[str, npt.NDArray[np.float64]] = {}
    maps = []
    labels = shared.first.labels
    for letter, gallery in shared.galleries.items():
        try:
            plane = principal_plane(gallery.vectors)
        except ValueError as problem:
            maps.append(Map(letter, absence=f"There is no map of {letter}: {problem}."))
            continue
        turned = turn_towards(plane.points, next(iter(planes.values()), plane.points))
        planes[letter] = turned
        points = turned * [MAP_SIDE, -MAP_SIDE]  # up is positive
        low, high = points.min(axis=0) - MAP_MARGIN, points.max(axis=0) + MAP_MARGIN
        dots = [
            (
                f"c{label % COLOURS}" if label >= 0 else "cx",
                dots_path(points, np.flatnonzero(labels == label).tolist()),
            )
            for label in sorted(set(labels.tolist()))
        ]
        box = " ".join(f"{value:.0f}" for value in (*low, *(high - low)))
        maps.append(Map(letter, plane.share, dots, box))
    return planes, maps


def turn_towards(
    points: npt.NDArray[np.float64], target: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return (N, 2) points turned or mirrored about 0 to lie as near to others as they can.

    The turn that least squares choose (orthogonal Procrustes); distances stay as they are.
    """
    left, _, right = np.linalg.svd(points.T @ target)
    turned: npt.NDArray[np.float64] = points @ (left @ right)
    return turned


def _student(letter: str, record: RunRecord) -> Student | None:
    found = record.comparison
    if found is None:
        return None
    sides = [
        side for name in ("teacher", "student") if isinstance(side := found.get(name), Mapping)
    ]
    if len(sides) < 2:
        return None
    teacher, student = sides
    rows = [
        (title, form.format(teacher[key]), form.format(student[key]))
        for title, key, form in STUDENT
        if all(is_number(side.get(key)) for side in sides)
    ]
    told = [
        sentence.format(found[key])
        for key, sentence in (
            ("overlap", "{:.1%} of the ten nearest are the teacher's"),
            ("kept", "{:.1%} of the teacher's kNN accuracy is kept"),
            ("faster", "the student is {:.1f} times as fast"),
        )
        if is_number(found.get(key))
    ]
    images, source = found.get("images"), found.get("source")
    asked = f"{number(images)} images of {source} asked: " if is_number(images) else ""
    return Student(letter, tuple(rows), f"{asked}{', '.join(told)}.")


def _data(
    shared: SharedGallery, sheet: Sheet, planes: Mapping[str, npt.NDArray[np.float64]]
) -> dict[str, Any]:
    """Return what the script needs: names, classes, and of each run places and neighbours."""
    gallery = shared.first
    return {
        "names": list(gallery.ids),
        "labels": gallery.labels.tolist(),
        "classes": list(gallery.class_names),
        "columns": sheet.columns,
        "side": MAP_SIDE,
        "runs": {
            letter: {
                "near": near.positions.tolist(),
                "cosines": (100 * near.cosines).round().astype(int).tolist(),
                "points": np.round(planes[letter], 3).tolist() if letter in planes else None,
            }
            for letter, near in shared.neighbours.items()
        },
    }
