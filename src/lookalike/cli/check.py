"""Count and measure the images of a source, and list what is unreadable and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from lookalike.cli.terminal import Counter, entry, finish, print_json, say, tell

if TYPE_CHECKING:
    from lookalike.data.image_set import ImageSet, Unreadable
    from lookalike.data.quarantine import Survey

_SHOWN: Final = 10  # of each list, unless all of it is asked for


def check(
    source: str,
    *,
    split: str | None = None,
    show_skipped: bool = False,
    download: bool = False,
    json: bool = False,
) -> None:
    """Check.

    Args:
        source: images: a folder, archive, .npz, table or known name such as hands.
        split: the part to look at, where the source has parts; none: train.
        show_skipped: list all that is left out, not the first ten.
        download: fetch a known set that is not here yet.
        json: print one JSON object in place of the account.
    """
    say(f"reading {source}")
    from lookalike.data.quarantine import survey
    from lookalike.data.sources import open_source

    images = open_source(source, split=split, download=download)
    with Counter("images") as count:
        found = survey(images, progress=count)
    if json:
        print_json(_describe(images, found))
    else:
        for name, text in _account(images, found):
            tell(entry(name, text, column=14))
        limit = None if show_skipped else _SHOWN
        _list("unreadable", found.unreadable, limit)
        _list("no images, by their names", found.ignored, limit)
        _list("the same, byte for byte", [" = ".join(group) for group in found.copies], limit)
    finish(following=f"lookalike views {source}   or   lookalike train {source}")


def _account(images: ImageSet, found: Survey) -> Iterator[tuple[str, str]]:
    """Yield what is worth a line, by name."""
    split = f", split {images.split}" if images.split else ""
    yield "images", f"{found.count:,} in {images.name}{split}"
    if found.classes:
        few, most = min(found.classes.values()), max(found.classes.values())
        yield "classes", f"{len(found.classes):,}, of {few:,} to {most:,} images"
        names = list(found.classes)
        shown = ", ".join(_safe(name) for name in names[:_SHOWN])
        more = len(names) - _SHOWN
        yield "called", f"{shown} and {more:,} more" if more > 0 else shown
    else:
        yield "classes", "none known: training needs none"
    for remark in images.remarks:
        yield "remark", _safe(remark)
    if len(found.sizes):
        by_area = sorted(found.sizes.tolist(), key=math.prod)
        smallest, median, largest = (
            f"{width}x{height}"
            for height, width in (by_area[0], by_area[len(by_area) // 2], by_area[-1])
        )
        span = smallest if smallest == largest else f"{smallest} to {largest}"
        yield "sizes", f"{span} px, median {median}"
        yield "formats", ", ".join(f"{count:,} {name}" for name, count in found.formats.items())
    yield "unreadable", f"{len(found.unreadable):,} ({len(found.unreadable) / found.count:.1%})"
    yield "copies", f"{sum(len(group) - 1 for group in found.copies):,} exact"


def _safe(text: str) -> str:
    """Return text as a terminal shows it, whatever a folder is called."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _list(what: str, lines: Sequence[Unreadable | str], limit: int | None) -> None:
    if lines:
        tell(["", f"{what}:"])
    tell(f"  {line}" for line in lines[:limit])
    if limit is not None and len(lines) > limit:
        tell([f"  and {len(lines) - limit:,} more, which --show-skipped lists"])


def _describe(images: ImageSet, found: Survey) -> dict[str, Any]:
    return {
        "name": images.name,
        "split": images.split,
        "images": found.count,
        "readable": len(found.positions),
        "classes": found.classes,
        "remarks": images.remarks,
        "formats": found.formats,
        "smallest": found.sizes.min(0).tolist() if len(found.sizes) else None,
        "largest": found.sizes.max(0).tolist() if len(found.sizes) else None,
        "unreadable": [each._asdict() for each in found.unreadable],
        "ignored": [each._asdict() for each in found.ignored],
        "copies": found.copies,
        "seconds": round(found.seconds, 2),
    }
