"""Images to label next as a page, in the order of their use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.report.review import Page, Part, Row, Tile, write_page

if TYPE_CHECKING:
    from lookalike.curation.select import Selection

IN_A_ROW = 10


def write_selection(found: Selection, path: Path) -> None:
    """Write the page; the same selection gives the same bytes.

    Args:
        found: the selection; its images are read.
        path: the file to write.

    Raises:
        LookalikeError: no space is left.
        OSError: the file cannot be written.
    """
    images = found.album.images
    tiles = [
        Tile(0, pick.position, f"{images.ids[pick.position]} · {pick.reason}", str(number))
        for number, pick in enumerate(found.picks, 1)
    ]
    rows = tuple(
        Row(f"{start + 1} to {min(start + IN_A_ROW, len(tiles))}", "", tuple(part))
        for start in range(0, len(tiles), IN_A_ROW)
        if (part := tiles[start : start + IN_A_ROW])
    )
    picks = Part("picks", "To label", "The most useful first; rest the pointer for why.", rows)
    page = Page(
        title=f"{len(tiles):,} images of {images.name} to label",
        lead=f"Chosen by {found.by} from {len(images):,} images, of which {found.labelled:,} are "
        "labelled already or stand beside.",
        facts=(
            ("images", f"{len(images):,}"),
            ("chosen", f"{len(tiles):,}"),
            ("by", found.by),
            ("labelled already", f"{found.labelled:,}"),
            ("seed", str(found.seed)),
            ("encoder", (found.album.fingerprint or "unknown")[:12]),
        ),
        parts=(picks,),
    )
    write_page(page, [images], path, max_pixels=found.album.max_pixels)
