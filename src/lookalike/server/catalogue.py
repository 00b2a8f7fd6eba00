"""A collection as the server tells of it: its facts, what it can be filtered by, its map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from lookalike.curation.table import Entry, Listed
from lookalike.data.decode import MAX_PIXELS
from lookalike.neighbors.collection import CLASS, ID
from lookalike.neighbors.hits import Hits
from lookalike.neighbors.index import Index
from lookalike.report.pictures import principal_plane
from lookalike.server.answers import (
    Copy,
    Duplicates,
    Facts,
    Filter,
    Found,
    Group,
    Image,
    Limits,
    Map,
    Neighbour,
    Value,
)
from lookalike.server.limits import MAX_BYTES
from lookalike.server.pictures import Pictures

MOST_NEIGHBOURS = 200
ON_MAP = 4000  # images at most: more are drawn from
MOST_GROUPS = 100  # of duplicates at a time
MOST_VALUES = 200  # of a column that is offered as a filter


class Catalogue:
    """What is asked of a collection again and again, looked up once.

    Args:
        index: of the collection.
        uploads: whether images can be encoded.
        listed: duplicates among them to decide on, if somebody looked for them.

    Raises:
        UsageError: the duplicates are of other images.
    """

    def __init__(self, index: Index, *, uploads: bool, listed: Listed | None = None) -> None:
        self.index, self.uploads, self.listed = index, uploads, listed
        if listed is not None:
            listed.require_images_of(index.collection)
        found = index.collection
        self.pictures = Pictures(found)
        self.rows = {found.ids[row]: row for row in found.present.tolist()}
        named = CLASS in found.table.column_names
        self._classes = found.table.column(CLASS).to_pylist() if named else None

    @cached_property
    def facts(self) -> Facts:
        """What is known of the collection."""
        found = self.index.collection
        engine = found.record.engine or {}
        return Facts(
            name=found.path.name,
            images=len(found),
            pictures=len(self.pictures),
            dim=found.record.dim,
            dtype=found.record.dtype,
            encoder=found.record.encoder,
            uploads=self.uploads,
            duplicates=None if self.listed is None else len(self.listed.groups),
            engine=engine.get("kind", "exact"),
            recall=engine.get("recall"),
            limits=Limits(
                bytes=MAX_BYTES, pixels=MAX_PIXELS, k=MOST_NEIGHBOURS, groups=MOST_GROUPS
            ),
        )

    @cached_property
    def filters(self) -> list[Filter]:
        """Columns whose values group the images, the class first."""
        import pyarrow  # noqa: PLC0415  half a second

        found = self.index.collection
        columns = [name for name in found.table.column_names if self.filterable(name)]
        filters = []
        for name in sorted(columns, key=lambda name: name != CLASS):
            column = found.table.column(name).take(pyarrow.array(found.present))
            counts = column.drop_null().cast(pyarrow.string()).value_counts().to_pylist()
            if 1 < len(counts) <= min(MOST_VALUES, len(found) // 2):
                counts.sort(key=lambda each: (-each["counts"], each["values"]))
                values = [Value(value=each["values"], images=each["counts"]) for each in counts]
                filters.append(Filter(column=name, values=values))
        return filters

    def filterable(self, column: str) -> bool:
        """Return whether images can be filtered by a column."""
        import pyarrow  # noqa: PLC0415

        table = self.index.collection.table
        if column == ID or column not in table.column_names:
            return False
        kind, is_a = table.schema.field(column).type, pyarrow.types
        return bool(is_a.is_string(kind) or is_a.is_integer(kind) or is_a.is_boolean(kind))

    @cached_property
    def map(self) -> Map:
        """The images on a plane; none where there are too few to make one."""
        found = self.index.collection
        rows = found.present
        if len(rows) > ON_MAP:
            rows = np.sort(np.random.default_rng(0).choice(rows, ON_MAP, replace=False))
        try:
            plane = principal_plane(found.vectors[rows].astype(np.float32))
        except ValueError:
            return Map(images=[], x=[], y=[], share=0.0)
        x, y = np.round(plane.points, 4).T.tolist()
        return Map(images=self.images(rows.tolist()), x=x, y=y, share=plane.share)

    def duplicates(self, listed: Listed, start: int, count: int) -> Duplicates:
        """Return some of the groups of duplicates, those first whose images agree least."""
        shown = [
            Group(
                place=place,
                name=name,
                images=[Copy(**self._known(self.rows[each.id]) | each._asdict()) for each in group],
            )
            for place, name, group in self._groups[start : start + count]
        ]
        return Duplicates(
            folder=listed.folder.resolve().name,
            table=listed.digest,
            threshold=listed.threshold,
            groups=len(self._groups),
            images=sum(map(len, listed.groups.values())),
            start=start,
            shown=shown,
        )

    @cached_property
    def _groups(self) -> list[tuple[int, str, tuple[Entry, ...]]]:
        """The groups with their places and names, the least alike first."""
        listed = self.listed.groups if self.listed else {}
        groups = [(place, name, group) for place, (name, group) in enumerate(listed.items())]
        return sorted(groups, key=lambda each: min(entry.score for entry in each[2]))

    def images(self, rows: Iterable[int]) -> list[Image]:
        """Return what is known of some rows."""
        return [Image(**self._known(row)) for row in rows]

    def found(self, hits: Hits, *, query: int | None) -> Found:
        """Return what a search for one image found.

        Args:
            hits: of the search.
            query: row of the image, if it is one of the collection.
        """
        neighbours = [
            Neighbour(similarity=cosine, **self._known(row))
            for row, cosine in zip(hits.rows[0].tolist(), hits.cosines[0].tolist(), strict=True)
            if row >= 0
        ]
        asked = None if query is None else self.images([query])[0]
        return Found(query=asked, neighbours=neighbours, how=hits.how, seconds=hits.seconds)

    def _known(self, row: int) -> dict[str, Any]:
        kind = None if self._classes is None else self._classes[row]
        return {
            "number": row,
            "id": self.index.collection.ids[row],
            "kind": None if kind is None else str(kind),
            "picture": row in self.pictures,
        }


def conditions(where: Sequence[str]) -> dict[str, list[str]]:
    """Return the wanted values by column, of texts COLUMN=VALUE.

    Raises:
        ValueError: a text is not of that form.
    """
    wanted: dict[str, list[str]] = {}
    for text in where:
        column, equals, value = text.partition("=")
        if not (column and equals):
            raise ValueError(f"where must be COLUMN=VALUE, got {text!r}")
        wanted.setdefault(column, []).append(value)
    return wanted
