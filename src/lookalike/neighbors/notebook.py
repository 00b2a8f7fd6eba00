"""Rows of small pictures as a notebook shows them: HTML without scripts or addresses."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from lookalike.data.decode import Pixels
from lookalike.data.given import Picture, read_square
from lookalike.errors import LookalikeError

SIDE = 96  # pixels of a picture
MOST_ROWS = 10
MOST_TILES = 12  # of a row

_TILE = "display:inline-block;width:104px;margin:0 8px 10px 0;vertical-align:top"
_NAME = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap;opacity:.7"
_FRAME = "border-radius:6px;border:2px solid {}"
_GONE = "display:inline-block;width:96px;height:96px;line-height:96px;text-align:center;opacity:.6"


class Tile(NamedTuple):
    """An image of a row.

    name: its id.
    about: what is said of it, in a word or number.
    picture: (SIDE, SIDE, 3), None where it cannot be read.
    framed: whether it stands out.
    """

    name: str
    about: str
    picture: Pixels | None
    framed: bool = False


class Strip(NamedTuple):
    """A row.

    heading: what its images are.
    tiles: those that are shown.
    more: how many are not.
    """

    heading: str
    tiles: Sequence[Tile]
    more: int


def show_strips(strips: Sequence[Strip], *, lead: str, rest: str) -> str:
    """Return rows of pictures, or a table where there is no picture at all.

    Args:
        strips: the rows.
        lead: what stands above them.
        rest: what stands below, of rows that are left out; "" if none are.
    """
    seen = any(tile.picture is not None for strip in strips for tile in strip.tiles)
    rows = map(_row, strips) if seen else [_table(strips)]
    parts = [f"<p>{_text(lead)}</p>", *rows, f"<p>{_text(rest)}</p>" * bool(rest)]
    return f'<div style="font-size:13px;line-height:1.35">{"".join(parts)}</div>'


def look(image: Picture) -> Pixels | None:
    """Return an image's (SIDE, SIDE, 3) picture, None where it cannot be read any more."""
    try:
        return read_square((0, image), size=SIDE)
    except (LookalikeError, ValueError):  # Pillow says ValueError of an image that was closed
        return None


def _row(strip: Strip) -> str:
    more = f'<p style="opacity:.7">and {strip.more:,} more</p>' if strip.more else ""
    tiles = "".join(map(_tile, strip.tiles))
    return f'<div style="margin:8px 0"><p><b>{_text(strip.heading)}</b></p>{tiles}{more}</div>'


def _tile(tile: Tile) -> str:
    name = _text(tile.name)
    if tile.picture is None:
        picture = f'<span style="{_GONE}">no picture</span>'
    else:
        frame = _FRAME.format("#0b62a4" if tile.framed else "transparent")
        picture = (
            f'<img src="{_data(tile.picture)}" width="{SIDE}" height="{SIDE}" alt="" '
            f'style="{frame}">'
        )
    return (
        f'<div style="{_TILE}" title="{name}">{picture}<div><b>{_text(tile.about)}</b></div>'
        f'<div style="{_NAME}">{name}</div></div>'
    )


def _table(strips: Sequence[Strip]) -> str:
    rows = []
    for strip in strips:
        rows.append(("", strip.heading))
        rows += [(tile.about, tile.name) for tile in strip.tiles]
        rows += [("", f"and {strip.more:,} more")] * bool(strip.more)
    cells = [f"<td>{_text(about)}</td><td>{_text(name)}</td>" for about, name in rows]
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>" if rows else ""


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", "backslashreplace").decode())


def _data(picture: Pixels) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
