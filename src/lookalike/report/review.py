"""Images to look at and decide on, as one self-contained HTML file: rows of captioned pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import lookalike
from lookalike.data.decode import Pixels, UnreadableImage, decode
from lookalike.data.image_set import ImageSet
from lookalike.data.threads import map_in_order
from lookalike.durable import write_atomically
from lookalike.report.pictures import Sheet, thumbnail_sheet
from lookalike.report.template import encoded, render
from lookalike.report.verification_charts import Panel

THUMB_SIDE = 128
MOST_THUMBS = 2000  # on the page
SETTINGS = ((128, 80), (96, 80), (80, 76), (64, 72), (48, 60), (32, 60), (32, 40))


@dataclass(frozen=True)
class Tile:
    """A picture on the page.

    Args:
        set: which of the page's sets it is from.
        position: of the image in its set.
        title: what a pointer resting on it reads.
        caption: what stands below it.
        mark: "good" or "bad" puts a frame around it; "" does not.
    """

    set: int
    position: int
    title: str
    caption: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """Pictures that belong together.

    Args:
        heading: what they are.
        about: more of it, in small.
        tiles: the pictures.
    """

    heading: str
    about: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Part:
    """A section of the page.

    Args:
        name: of its anchor, and in the page's navigation.
        title: its heading.
        how: how to read it.
        rows: its rows.
        rest: what is left out, in a sentence; "" if nothing is.
    """

    name: str
    title: str
    how: str
    rows: tuple[Row, ...]
    rest: str = ""


@dataclass(frozen=True)
class Page:
    """All that a page says.

    Args:
        title: its heading, and the file's title.
        lead: what was found, in a sentence or two.
        facts: names and values.
        parts: its sections.
        measured: how what was found came about, in paragraphs, after the sections.
        charts: with the names of their lines.
        lines: (kind, name) of each line in the charts.
    """

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    charts: tuple[Panel, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    measured: tuple[str, ...] = ()


def write_page(page: Page, sets: Sequence[ImageSet], path: Path, *, max_pixels: int) -> None:
    """Write a page; the same page gives the same bytes.

    Args:
        page: what it says.
        sets: the images that its tiles name; they are read once more, those that are shown.
        path: the file to write.
        max_pixels: larger images are shown as a grey field.

    Raises:
        LookalikeError: no space is left.
        OSError: the file cannot be written.
    """
    parts = _fit(page.parts)
    tiles = [tile for part in parts for row in part.rows for tile in row.tiles]
    shown = sorted({(tile.set, tile.position) for tile in tiles})
    place = {each: number for number, each in enumerate(shown)}

    def look(each: tuple[int, int]) -> Pixels:
        try:
            raw = sets[each[0]].read(each[1])
            image = decode(raw, max_pixels=max_pixels, at_least=THUMB_SIDE)
        except UnreadableImage:  # it could be read a moment ago
            image = np.full((1, 1, 3), 128, dtype=np.uint8)
        return whole_picture(image, THUMB_SIDE)

    thumbs = np.array(list(map_in_order(look, shown)), dtype=np.uint8)
    sheet = thumbnail_sheet(thumbs.reshape(-1, THUMB_SIDE, THUMB_SIDE, 3), settings=SETTINGS)
    text = render(
        "review.html",
        styles=("page.css", "review.css"),
        page=replace(page, parts=parts),
        sheet=sheet,
        at=_finder(place, sheet),
        version=lookalike.__version__,
    )
    write_atomically(path, encoded(text))


def whole_picture(image: Pixels, side: int) -> npt.NDArray[np.uint8]:
    """Return the whole of an (H, W, 3) image on a grey square, (side, side, 3)."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    square = Image.new("RGB", (side, side), (128, 128, 128))
    small = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    square.paste(small, ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.asarray(square)


def _finder(place: dict[tuple[int, int], int], sheet: Sheet) -> Callable[[Tile], tuple[int, int]]:
    """Return what tells a tile's row and column on the sheet."""
    return lambda tile: divmod(place[tile.set, tile.position], sheet.columns)


def _fit(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Return the parts with as many rows, from the first, as the page has room for."""
    left, fitted = MOST_THUMBS, []
    for part in parts:
        rows = []
        for row in part.rows:
            if len(row.tiles) > left:
                break
            rows.append(row)
            left -= len(row.tiles)
        hidden = len(part.rows) - len(rows)
        rest = part.rest if not hidden else f"{hidden:,} more are in the table."
        fitted.append(replace(part, rows=tuple(rows), rest=rest))
    return tuple(fitted)
