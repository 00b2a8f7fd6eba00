"""What a search found as one self-contained HTML file: each query beside its nearest images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

import lookalike
from lookalike.durable import write_atomically
from lookalike.report.pictures import thumbnail_sheet
from lookalike.report.template import encoded, render

if TYPE_CHECKING:
    from lookalike.neighbors.hits import Hits

THUMB_SIDE = 192
SETTINGS = ((192, 86), (128, 84), (96, 80), (64, 78), (48, 70), (32, 60), (32, 40))
MOST_THUMBS = 4000  # on the page
CLASS = "class"

Pixels = npt.NDArray[np.uint8]


class Tile(NamedTuple):
    """An image on the page.

    column: its place on the sheet of thumbnails; None where there is no picture.
    row: likewise.
    name: its id.
    cosine: to the query; None for the query itself.
    kind: its class, if it is known.
    other: whether the query is known to be of another class.
    """

    column: int | None
    row: int | None
    name: str
    cosine: float | None
    kind: str | None
    other: bool


def write_gallery(
    found: Hits,
    path: Path,
    *,
    of: str,
    pictures: Sequence[Pixels | None],
    thumbs: Mapping[int, Pixels],
    classes: Sequence[str | None] | None = None,
    unreadable: int = 0,
) -> None:
    """Write the page; the same hits give the same bytes.

    Args:
        found: what the search found.
        path: the file to write.
        of: name of the collection that was searched.
        pictures: the (side, side, 3) picture of each query, None where there is none.
        thumbs: those of neighbours, by their rows.
        classes: of the queries, where they are known.
        unreadable: queries that were left out.

    Raises:
        LookalikeError: no space is left.
        OSError: the file cannot be written.
    """
    queries = min(len(found), max(1, MOST_THUMBS // (1 + found.rows.shape[1])))
    sheet_of: list[Pixels] = []
    place: dict[int, int] = {}
    for row in np.unique(found.rows[:queries]).tolist():
        if row in thumbs:
            place[row] = len(sheet_of)
            sheet_of.append(thumbs[row])
    asked: list[int | None] = []
    for picture in pictures[:queries]:
        asked.append(None if picture is None else len(sheet_of))
        if picture is not None:
            sheet_of.append(picture)
    blank = np.zeros((0, THUMB_SIDE, THUMB_SIDE, 3), np.uint8)
    sheet = thumbnail_sheet(np.stack(sheet_of) if sheet_of else blank, settings=SETTINGS)
    kinds = found.columns.get(CLASS)
    cards = []
    for number, hits in enumerate(list(found)[:queries]):
        own = classes[number] if classes else None
        head = _tile(asked[number], sheet.columns, found.queries[number], None, own, None)
        tiles = [
            _tile(
                place.get(int(found.rows[number, rank])),
                sheet.columns,
                name,
                cosine,
                kinds[number][rank] if kinds else None,
                own,
            )
            for rank, (name, cosine) in enumerate(hits)
        ]
        cards.append((head, tiles))
    page = render(
        "search.html",
        styles=("page.css", "search.css"),
        found=found,
        of=of,
        cards=cards,
        marked=any(tile.other for _, tiles in cards for tile in tiles),
        gone=any(tile.column is None for _, tiles in cards for tile in tiles),
        hidden=len(found) - queries,
        unreadable=unreadable,
        sheet=sheet,
        version=lookalike.__version__,
    )
    write_atomically(path, encoded(page))


def _tile(  # noqa: PLR0917  all that a tile is made of
    place: int | None,
    columns: int,
    name: str,
    cosine: float | None,
    kind: str | None,
    own: str | None,
) -> Tile:
    row, column = (None, None) if place is None else divmod(place, columns)
    return Tile(column, row, name, cosine, kind, None not in (kind, own) and kind != own)
