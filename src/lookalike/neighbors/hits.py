"""What a search found: for each query the nearest images, and what is known of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.neighbors.collection import CLASS, ID, Rows


@dataclass(frozen=True, eq=False)
class Hits:
    """The nearest images of some queries.

    Attributes:
        ids: of the images, a list a query, the nearest first.
        cosines: (Q, K) float32 in [-1, 1], likewise; -inf where a query has fewer than K.
        rows: (Q, K) int64, theirs in the collection; -1 likewise.
        queries: names of the queries.
        how: exact, or the engine that was used.
        seconds: what the search took.
        columns: what else is known of each image, by column: a list a query.
    """

    ids: tuple[tuple[str, ...], ...]
    cosines: npt.NDArray[np.float32]
    rows: Rows
    queries: tuple[str, ...]
    how: str
    seconds: float
    columns: Mapping[str, tuple[tuple[Any, ...], ...]]

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

    def lines(self) -> list[str]:
        """Return a table a query, for people."""
        lines = []
        for number, found in enumerate(self):
            lines.append(self.queries[number])
            for place, (name, cosine) in enumerate(found):
                kind = self.columns[CLASS][number][place] if CLASS in self.columns else None
                lines.append(f"  {cosine:6.3f}  {name}" + (f"  ({kind})" if kind else ""))
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
