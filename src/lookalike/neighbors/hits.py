"""What a search found: for each query the nearest images, and what is known of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.data.given import Picture
from lookalike.neighbors.collection import CLASS, ID, Collection, Rows
from lookalike.neighbors.notebook import MOST_ROWS, MOST_TILES, SIDE, Strip, Tile, look, show_strips
from lookalike.neighbors.pictures import load_thumbs


@dataclass(frozen=True, eq=False, repr=False)
class Hits:
    """The nearest images of some queries; a notebook shows their pictures.

    Attributes:
        ids: of the images, a list a query, the nearest first.
        cosines: (Q, K) float32 in [-1, 1], likewise; -inf where a query has fewer than K.
        rows: (Q, K) int64, theirs in the collection; -1 likewise.
        queries: names of the queries.
        how: exact, or the engine that was used.
        seconds: what the search took.
        columns: what else is known of each image, by column: a list a query.
        collection: that was searched, for its pictures.
        asked: the images, or rows of the collection, that were asked about; none of vectors.
    """

    ids: tuple[tuple[str, ...], ...]
    cosines: npt.NDArray[np.float32]
    rows: Rows
    queries: tuple[str, ...]
    how: str
    seconds: float
    columns: Mapping[str, tuple[tuple[Any, ...], ...]]
    collection: Collection | None = None
    asked: tuple[Picture | int, ...] = ()

    def __repr__(self) -> str:
        queries = "1 query" if len(self) == 1 else f"{len(self):,} queries"
        return f"Hits({queries}, up to {self.cosines.shape[1]:,} images each, {self.how})"

    def __str__(self) -> str:
        return "\n".join([*self.lines(MOST_ROWS), *filter(None, [self._rest()])])

    def _repr_html_(self) -> str:
        """Return pictures of the first queries and their nearest images, for a notebook."""
        asked = self.asked[:MOST_ROWS]
        own = [each for each in asked if isinstance(each, int)]
        rows = np.array([*self.rows[:MOST_ROWS, :MOST_TILES].flat, *own], dtype=np.int64)
        thumbs = load_thumbs(self.collection, rows[rows >= 0], SIDE) if self.collection else {}
        queries = [thumbs.get(each) if isinstance(each, int) else look(each) for each in asked]
        strips = []
        for number, found in enumerate(itertools.islice(self, MOST_ROWS)):
            name, picture = self.queries[number], queries[number] if queries else None
            tiles = [Tile(name, "query", picture, framed=True)] if picture is not None else []
            for place, (image, cosine) in enumerate(found[:MOST_TILES]):
                thumb = thumbs.get(int(self.rows[number, place]))
                tiles.append(Tile(image, f"{cosine:.3f}{self._kind(number, place)}", thumb))
            strips.append(Strip(name, tiles, max(0, len(found) - MOST_TILES)))
        return show_strips(strips, lead=repr(self), rest=self._rest())

    def _kind(self, number: int, place: int) -> str:
        kind = self.columns[CLASS][number][place] if CLASS in self.columns else None
        return f"  ({kind})" if kind else ""

    def _rest(self) -> str:
        more = len(self) - MOST_ROWS
        return f"and {more:,} more queries" if more > 0 else ""

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.ids)

    def __iter__(self) -> Iterator[list[tuple[str, float]]]:
        """Yield the (id, cosine) of each query's neighbours."""
        for ids, cosines in zip(self.ids, self.cosines.tolist(), strict=True):
            yield list(zip(ids, cosines, strict=False))

    def to_json(self) -> dict[str, Any]:
        """Return one object."""
        return {
            "how": self.how,
            "seconds": self.seconds,
            "queries": [
                {
                    "query": self.queries[number],
                    "neighbours": [
                        {"id": name, "cosine": cosine}
                        | {column: cells[number][place] for column, cells in self.columns.items()}
                        for place, (name, cosine) in enumerate(found)
                    ],
                }
                for number, found in enumerate(self)
            ],
        }

    def lines(self, most: int | None = None) -> list[str]:
        """Return a table a query, for people.

        Args:
            most: queries to tell of; none: all.
        """
        lines = []
        for number, found in enumerate(itertools.islice(self, most)):
            lines.append(self.queries[number])
            for place, (name, cosine) in enumerate(found):
                lines.append(f"  {cosine:6.3f}  {name}{self._kind(number, place)}")
        return [*lines, f"({self.how}, {1000 * self.seconds:.3g} ms)"]


def make_hits(
    table: Any,
    cosines: npt.NDArray[np.float32],
    rows: Rows,
    names: tuple[str, ...],
    *,
    how: str,
    seconds: float,
) -> Hits:
    """Return what was found, with what a collection's table tells of it.

    Args:
        table: of the collection.
        cosines: (Q, K), falling; -inf where a query has fewer.
        rows: (Q, K); -1 likewise.
        names: of the queries.
        how: exact, or the engine that was used.
        seconds: what the search took.
    """
    found = [row[row >= 0] for row in rows]
    flat = table.take(np.concatenate([np.zeros(0, np.int64), *found]))
    ends = np.cumsum([0, *map(len, found)]).tolist()
    columns = {
        name: tuple(tuple(values[start:end]) for start, end in itertools.pairwise(ends))
        for name, values in flat.to_pydict().items()
    }
    return Hits(columns.pop(ID), cosines, rows, names, how, seconds, columns)


def without(
    own: Rows, cosines: npt.NDArray[np.float32], rows: Rows
) -> tuple[npt.NDArray[np.float32], Rows]:
    """Return what was found with each query's own row at the end, and as if it were none."""
    itself = rows == own[:, None]
    cosines, rows = np.where(itself, -np.inf, cosines), np.where(itself, -1, rows)
    order = itself.argsort(axis=1, kind="stable")
    return np.take_along_axis(cosines, order, 1), np.take_along_axis(rows, order, 1)
