"""Duplicates and leaks as pages: groups or pairs, and those near the threshold to decide on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike.report.charts import BOTTOM, LEFT, RIGHT, TOP, Scale
from lookalike.report.charts import Mark as AxisMark
from lookalike.report.review import Page, Part, Row, Tile, write_page
from lookalike.report.verification_charts import Line, Panel, stairs

if TYPE_CHECKING:
    from lookalike.curation.duplicates import Duplicates
    from lookalike.curation.leaks import Leaks
    from lookalike.curation.matches import Matches

BORDERLINE = 40  # pairs to decide on
BINS = 40
_LINES = (
    ("copies", "planted copies that are found at all"),
    ("pairs", "the images' own pairs"),
    ("decoys", "pairs of decoys, made of two halves each: chance"),
)
_BORDER = (
    "The pairs nearest to the threshold, the most alike first. A green frame says that the pair "
    "counts; a dashed one that it does not. Where most of one kind look wrong to you, ask for "
    "another precision."
)


def write_review(found: Duplicates, path: Path) -> None:
    """Write the page of duplicates; the same duplicates give the same bytes.

    Args:
        found: the duplicates; their images are read once more, those that are shown.
        path: the file to write.

    Raises:
        LookalikeError: no space is left.
        OSError: the file cannot be written.
    """
    images, spare = found.album.images, len(found.spare)
    rows = []
    for place, group in enumerate(found.groups, 1):
        tiles = []
        for member in group:
            caption = "keep" if member.keep else f"{member.score:.3f} {member.reason}".strip()
            about = " · ".join(
                (found.id_of(member.position), found.describe(member.position), member.reason)
            )
            title = about.removesuffix(" · ")
            tiles.append(Tile(0, member.position, title, caption, "good" if member.keep else ""))
        rows.append(
            Row(str(place), f"{len(group):,} images; kept: {group[0].reason}", tuple(tiles))
        )
    groups = Part(
        "groups",
        "Groups",
        "The image with the green frame is the one to keep. Below the others is how well they "
        "agree with it, detail by detail, where 1 is the same, and what they are of it.",
        tuple(rows),
    )
    page = Page(
        title=f"Duplicates in {images.name}",
        lead=f"{len(found.groups):,} groups; {spare:,} of {len(found.album):,} images need not be "
        "kept.",
        measured=_measured(found.matches),
        facts=(
            ("images", f"{len(found.album):,}"),
            ("need not be kept", f"{spare:,}"),
            ("the same byte for byte", f"{found.copies:,}"),
            ("unreadable, left out", f"{found.unreadable:,}"),
            ("threshold", found.matches.threshold.level),
            ("seed", str(found.seed)),
            ("encoder", (found.album.fingerprint or "unknown")[:12]),
        ),
        parts=(groups, _borderline(found.matches, (0, 0), (images.ids, images.ids))),
        charts=tuple(_histogram(found.matches)),
        lines=_LINES,
    )
    write_page(page, [images], path, max_pixels=found.album.max_pixels)


def write_leaks(found: Leaks, path: Path) -> None:
    """Write the page of leaks; see `write_review`."""
    first, second = found.first.images, found.second.images
    rows = tuple(
        Row(
            f"{leak.score:.3f}",
            leak.kind,
            (
                Tile(1, leak.position, second.ids[leak.position], "test"),
                Tile(0, leak.original, first.ids[leak.original], "train"),
            ),
        )
        for leak in found.leaks
    )
    leaks = Part(
        "leaks",
        "Leaks",
        "On the left an image to test with, on the right the one of train that it is most like.",
        rows,
    )
    page = Page(
        title=f"What {second.name} shares with {first.name}",
        lead=f"{len(found.leaks):,} of {len(second):,} test images ({found.share:.1%}) are in "
        "train.",
        measured=_measured(found.matches),
        facts=(
            ("train", f"{len(first):,} images"),
            ("test", f"{len(second):,} images"),
            ("the same byte for byte", f"{sum(leak.exact for leak in found.leaks):,}"),
            ("unreadable, left out", f"{found.unreadable:,}"),
            ("threshold", found.matches.threshold.level),
            ("seed", str(found.seed)),
        ),
        parts=(leaks, _borderline(found.matches, (0, 1), (first.ids, second.ids))),
        charts=tuple(_histogram(found.matches)),
        lines=_LINES,
    )
    write_page(page, [first, second], path, max_pixels=found.first.max_pixels)


def _measured(matches: Matches) -> tuple[str, ...]:
    """Return how the search did, in sentences: what share it finds, then how often it is right."""
    lines = matches.threshold.lines()
    first = f"For what is not the same byte for byte, this search {lines[0]}."
    return (first, *(f"{line[0].upper()}{line[1:]}." for line in lines[1:]))


def _borderline(
    matches: Matches, sets: tuple[int, int], ids: tuple[tuple[str, ...], tuple[str, ...]]
) -> Part:
    rows = []
    for place in matches.borderline(BORDERLINE).tolist():
        one, other = matches.pairs[place].tolist()
        score = float(matches.scores[place])
        mark = "good" if score >= matches.threshold.value else "bad"
        tiles = (
            Tile(sets[0], one, ids[0][one], "", mark),
            Tile(sets[1], other, ids[1][other], "", mark),
        )
        counts = "counts" if mark == "good" else "does not count"
        about = f"{counts}; {matches.kinds[place]}"
        if not np.isnan(matches.cosines[place]):
            about += f"; cosine {matches.cosines[place]:.3f}"
        rows.append(Row(f"{score:.3f}", about, tiles))
    return Part("borderline", "Borderline pairs", _BORDER, tuple(rows))


def _histogram(matches: Matches) -> list[Panel]:
    """Return a chart of what copies, pairs and chance score; none where nothing was compared."""
    sides = {
        "copies": matches.copies[matches.copies > 0],
        "pairs": matches.scores[matches.scores > 0],
        "decoys": matches.decoys[matches.decoys > 0],
    }
    if not len(sides["copies"]):
        return []
    edges = np.linspace(0, 1, BINS + 1)
    shares = {
        name: np.histogram(scores, edges)[0] / max(1, len(scores)) for name, scores in sides.items()
    }
    x_scale = Scale(0, 1, LEFT, RIGHT)
    y_scale = Scale(0, 1.06 * max(float(each.max()) for each in shares.values()), BOTTOM, TOP)
    px = [round(float(value), 1) for value in x_scale(edges)]
    lines = tuple(
        Line(name, stairs(px, [round(float(top), 1) for top in y_scale(each)]), area=True)
        for name, each in reversed(shares.items())
    )
    threshold = matches.threshold.value
    latest = f"pairs count from {matches.threshold.level} on"
    upright = AxisMark(round(float(x_scale(min(threshold, 1.0))), 1), matches.threshold.level)
    return [
        Panel(
            name="agreement",
            title="How well details agree",
            latest=latest,
            summary=f"Agreement of copies, of the images' pairs and of decoys: {latest}",
            lines=lines,
            x_marks=x_scale.marks(5),
            y_marks=y_scale.marks(4, shares=True),
            x_title="agreement",
            y_title="share of the pairs of a kind that are alike in the large",
            points=(),
            upright=upright,
        )
    ]
