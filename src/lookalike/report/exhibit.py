"""The gallery as the page shows it: rows of neighbours, pairs, a map, and data for the script."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lookalike.report.neighbours import (
    Neighbours,
    choose_queries,
    closest_pairs,
    find_neighbours,
    hardest_pairs,
    neighbour_agreement,
)
from lookalike.report.pictures import Plane, dots_path, principal_plane, thumbnail_sheet
from lookalike.report.reading import Gallery

NEIGHBOURS = 12  # of each image, shown when it is clicked
IN_ROW = 8  # neighbours of a query
QUERIES = 10
PAIRS = 8
LARGEST_GALLERY = 5000
MAP_MARGIN = 40
MAP_SIDE = 1000  # units of the map without script, from the middle to the farthest point
COLOURS = 10  # classes that get a colour of their own


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


class Exhibit:
    """What the page shows of a gallery of at least two images.

    Attributes:
        sheet: all thumbnails on one image.
        count: images.
        labelled: whether any label is known.
        agreement: share of labelled images whose nearest image has their label.
        rows: (query, its neighbours) of some images.
        matches: neighbours in `rows` that have their query's class.
        judged: those of which that can be said.
        hardest: pairs that are alike across classes.
        closest: pairs that are most alike of all.
        plane: the map; none where there cannot be one.
        no_map: why not.
        legend: (label, class name, images) of each class.
    """

    def __init__(self, gallery: Gallery, neighbours: Neighbours) -> None:
        self._gallery = gallery
        self._neighbours = neighbours
        self.sheet = thumbnail_sheet(gallery.thumbs)
        self.count = len(gallery)
        self.labelled = bool((gallery.labels >= 0).any())
        self.agreement = neighbour_agreement(neighbours, gallery.labels)
        self.rows = [self._row(query) for query in choose_queries(gallery.labels, count=QUERIES)]
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
        counts = np.bincount(gallery.labels[gallery.labels >= 0]).tolist()
        self.legend = [
            (label, gallery.class_names[label], images)
            for label, images in enumerate(counts)
            if images
        ]

    @classmethod
    def of(cls, gallery: Gallery) -> Exhibit | None:
        """Return what is shown of a gallery; none of a single image, which has no neighbour."""
        if len(gallery) < 2:
            return None
        gallery = at_most(gallery, LARGEST_GALLERY)
        return cls(gallery, find_neighbours(gallery.vectors, gallery.labels, count=NEIGHBOURS))

    @property
    def dots(self) -> list[tuple[int | None, str]]:
        """(colour, SVG path) of the map's dots, a class at a time, those without a class first."""
        if self.plane is None:
            return []
        points = self.plane.points * [MAP_SIDE, -MAP_SIDE]  # up is positive
        labels = self._gallery.labels
        groups = [
            (label, np.flatnonzero(labels == label)) for label in sorted(set(labels.tolist()))
        ]
        return [(_colour(label), dots_path(points, chosen.tolist())) for label, chosen in groups]

    @property
    def view_box(self) -> str:
        """The part of the plane that the dots lie in, as SVG wants it."""
        if self.plane is None:
            return ""
        points = self.plane.points * [MAP_SIDE, -MAP_SIDE]
        low, high = points.min(axis=0) - MAP_MARGIN, points.max(axis=0) + MAP_MARGIN
        return " ".join(f"{number:.0f}" for number in (*low, *(high - low)))

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

    def _row(self, query: int) -> tuple[Shown, list[Shown]]:
        near = zip(
            self._neighbours.positions[query, :IN_ROW].tolist(),
            self._neighbours.cosines[query, :IN_ROW].tolist(),
            strict=True,
        )
        others = [self._shown(other, beside=query, cosine=cosine) for other, cosine in near]
        return self._shown(query), others

    def _pairs(self, pairs: Iterable[tuple[int, int, float]]) -> list[tuple[Shown, Shown]]:
        return [
            (self._shown(first), self._shown(second, beside=first, cosine=cosine))
            for first, second, cosine in pairs
        ]


def at_most(gallery: Gallery, limit: int) -> Gallery:
    """Return the gallery, or so many of its images, chosen by a fixed seed."""
    if len(gallery) <= limit:
        return gallery
    chosen = np.random.default_rng(0).choice(len(gallery), limit, replace=False)
    return gallery.select(np.sort(chosen).tolist())


def _colour(label: int) -> int | None:
    return label % COLOURS if label >= 0 else None
