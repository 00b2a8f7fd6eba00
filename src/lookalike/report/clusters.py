"""Clusters as one self-contained HTML file: a sheet of thumbnails each, the largest first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

import lookalike
from lookalike.data.resident import load_squares
from lookalike.durable import write_atomically
from lookalike.evaluation.verdict import BASELINES
from lookalike.report.pictures import thumbnail_sheet
from lookalike.report.template import encoded, render

if TYPE_CHECKING:
    from lookalike.judging.clusters import Clusters

THUMB_SIDE = 64
MOST_THUMBS = 4000  # on the page
MOST_CLUSTERS = 1000
OF_A_CLUSTER = 33  # thumbnails at most: three rows where the page is wide
CLASSES = 4  # named for each cluster

WAYS = {"encoder": "this encoder"} | {key: name for key, (name, _) in BASELINES.items()}


class Tile(NamedTuple):
    """An image on the page.

    column: its place on the sheet of thumbnails.
    row: likewise.
    title: what a pointer resting on it reads.
    odd: whether most of its cluster are of one class, and it is of another.
    """

    column: int
    row: int
    title: str
    odd: bool


class Card(NamedTuple):
    """A cluster on the page.

    number: of the cluster; none for the images in no cluster.
    size: its images.
    classes: (name, images) of the commonest classes.
    others: how many more classes there are.
    spread: the mean distance to the centre; none for the images in no cluster.
    tiles: its images, the most typical first; not all of them, if there are many.
    """

    number: int | None
    size: int
    classes: list[tuple[str, int]]
    others: int
    spread: float | None
    tiles: list[Tile]


def write_sheet(found: Clusters, path: Path) -> None:
    """Write the page; the same clusters give the same bytes.

    Args:
        found: the clusters; their images are read once more, those that are shown.
        path: the file to write.

    Raises:
        LookalikeError: no space is left.
        OSError: the file cannot be written.
    """
    groups = found.groups
    shown = groups[:MOST_CLUSTERS]
    parts = [group.positions for group in shown]
    if found.unclustered:
        parts.append(found.unclustered)
    each = max(1, min(OF_A_CLUSTER, MOST_THUMBS // max(1, len(parts))))
    chosen = [_spaced(positions, each) for positions in parts]
    positions = np.concatenate(chosen)
    thumbs, readable = load_squares(found.images.select(positions), THUMB_SIDE)
    sheet = thumbnail_sheet(np.ascontiguousarray(thumbs.transpose(0, 2, 3, 1)))
    place = {int(positions[where]): number for number, where in enumerate(readable)}
    cards = [
        _card(found, number, members, some, place, sheet.columns)
        for number, (members, some) in enumerate(zip(parts, chosen, strict=True), 1)
    ]
    sizes = [len(group.positions) for group in groups]
    name = f"{found.images.name}/{found.images.split}" if found.images.split else found.images.name
    bars = [(WAYS.get(way, way), grouping) for way, grouping in found.groupings.items()]
    page = render(
        "clusters.html",
        styles=("page.css", "clusters.css"),
        found=found,
        name=name,
        sizes=sizes,
        bars=bars if all(grouping.agreement for _, grouping in bars) else [],
        cards=cards,
        hidden=(len(groups) - len(shown), sum(sizes[len(shown) :])),
        cut=any(len(some) < len(members) for members, some in zip(parts, chosen, strict=True)),
        sheet=sheet,
        version=lookalike.__version__,
    )
    write_atomically(path, encoded(page))


def _spaced(positions: tuple[int, ...], count: int) -> npt.NDArray[np.int64]:
    """Return at most so many, from the first to the last at even steps: the edge shows as well."""
    steps = np.linspace(0, len(positions) - 1, min(count, len(positions)))
    return np.asarray(positions, dtype=np.int64)[steps.round().astype(np.int64)]


def _card(  # noqa: PLR0917  all that a card is made of
    found: Clusters,
    number: int,
    members: tuple[int, ...],
    some: npt.NDArray[np.int64],
    place: dict[int, int],
    columns: int,
) -> Card:
    images, inside = found.images, found.members[members[0]] >= 0
    labels = images.labels[list(members)]
    counts = np.bincount(labels[labels >= 0])
    ranked = [int(label) for label in np.argsort(-counts, kind="stable") if counts[label]]
    share = float(counts[ranked[0]] / counts.sum()) if ranked else None
    most = ranked[0] if share is not None and share > 0.5 and inside else None
    tiles = []
    for position in some.tolist():
        if position not in place:  # it could be read a moment ago
            continue
        row, column = divmod(place[position], columns)
        kind = found.class_of(position)
        far = f"{found.distances[position]:.3g} from the centre" if inside else ""
        title = " · ".join(text for text in (images.ids[position], kind, far) if text)
        odd = None not in (most, kind) and int(images.labels[position]) != most
        tiles.append(Tile(column, row, title, odd))
    return Card(
        number=number if inside else None,
        size=len(members),
        classes=[(images.class_names[label], int(counts[label])) for label in ranked[:CLASSES]],
        others=len(ranked[CLASSES:]),
        spread=float(found.distances[list(members)].mean()) if inside else None,
        tiles=tiles,
    )
