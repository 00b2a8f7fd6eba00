"""Outliers and doubtful labels as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.report.review import Page, Part, Row, Tile, write_page

if TYPE_CHECKING:
    from lookalike.curation.outliers import Outliers

SHOWN = 60  # images on the page at least, outliers or not
MOST = 600
IN_A_ROW = 12


def write_outliers(found: Outliers, path: Path) -> None:
    """Write the page; the same outliers give the same bytes.

    Args:
        found: the outliers; their images are read, those that are shown.
        path: the file to write.

    Raises:
        LookalikeError: no space is left.
        OSError: the file cannot be written.
    """
    images = found.album.images
    tiles = [
        Tile(
            0,
            position,
            f"{images.ids[position]} · distance {found.distances[position]:.3f}",
            f"{found.factors[position]:.2f}",
            "bad" if place < found.outside else "",
        )
        for place, position in enumerate(found.order[: min(max(SHOWN, found.outside), MOST)])
    ]
    rows = tuple(
        Row(f"{start + 1} to {start + len(tiles[start : start + IN_A_ROW])}", "", tuple(part))
        for start in range(0, len(tiles), IN_A_ROW)
        if (part := tiles[start : start + IN_A_ROW])
    )
    left = max(0, found.outside - len(tiles))
    outliers = Part(
        "outliers",
        "Outliers",
        "The images that lie farthest from all others for how close those lie together, the "
        "farthest first; below each is how many times sparser it is there. A dashed frame marks "
        "the outliers.",
        rows,
        f"{left:,} more are in the table." if left else "",
    )
    doubts = Part(
        "labels",
        "Doubtful labels",
        "Images whose neighbours vote for another class than their label, the surest first. Some "
        "labels are right all the same: look before you change one.",
        tuple(
            Row(
                doubt.voted,
                f"{doubt.share:.0%} of the votes; labelled {doubt.label}",
                (Tile(0, doubt.position, images.ids[doubt.position], doubt.label, "bad"),),
            )
            for doubt in found.doubts
        ),
    )
    agreeing = () if found.agreeing is None else (("labels agreed with", f"{found.agreeing:.1%}"),)
    page = Page(
        title=f"Outliers in {images.name}",
        lead=f"{found.outside:,} of {len(images):,} images are outliers: it is {found.above:g} "
        f"times as sparse around them as around their {found.neighbours} nearest neighbours, or "
        f"more; {len(found.doubts):,} labels are doubtful.",
        facts=(
            ("images", f"{len(images):,}"),
            ("outliers", f"{found.outside:,}"),
            ("doubtful labels", f"{len(found.doubts):,}"),
            *agreeing,
            ("unreadable, left out", f"{found.album.unreadable:,}"),
            ("neighbours", str(found.neighbours)),
            ("encoder", (found.album.fingerprint or "unknown")[:12]),
        ),
        parts=(outliers, doubts) if found.agreeing is not None else (outliers,),
    )
    write_page(page, [images], path, max_pixels=found.album.max_pixels)
