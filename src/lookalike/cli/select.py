"""Choose the images worth labelling next: typical ones, or none far from all chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookalike.cli.terminal import Counter, finish, print_json, say, tell

LIBRARY = "curation.select:select_images"


def select(
    run: Path,
    source: str | None = None,
    *,
    labelled: str | None = None,
    out: Path = Path("selection"),
    split: str | None = None,
    limit: int | None = None,
    max_unreadable: float = 0.01,
    json: bool = False,
    trust_code: bool = False,
    **settings: Any,
) -> None:
    """Select.

    Args:
        run: a collection that lookalike embed wrote; or folder of a run, with SOURCE.
        source: images, where RUN is a run: a folder, archive, .npz, table or known name.
        labelled: images that are labelled already, a source as well; they are not chosen.
        out: folder to write to.
        split: part of the source to take.
        limit: images at most, drawn at random.
        max_unreadable: share of images that may be unreadable; they are left out and counted.
        json: print one JSON object in place of the table.
        trust_code: let code come from the file or package that the model or run names.
        settings: how to choose, as `curation.select.select_images` takes it.
    """
    say(f"selecting images of {source or run}")
    from lookalike.curation.album import open_album
    from lookalike.curation.select import select_images, write_csv
    from lookalike.report.selection import write_selection

    seed = settings.get("seed", 0)
    with Counter("images embedded") as count:
        album = open_album(
            run,
            source,
            split=split,
            limit=limit,
            seed=seed,
            max_unreadable=max_unreadable,
            trust_code=trust_code,
            progress=count,
        )
        known = None
        if labelled is not None:
            known = open_album(
                run,
                labelled,
                max_unreadable=max_unreadable,
                trust_code=trust_code,
                progress=count,
            )
    found = select_images(album, labelled=known, **settings)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(found, out / "selection.csv")
    write_selection(found, out / "selection.html")
    if json:
        print_json(found.to_json())
    else:
        tell(found.lines())
    page = out / "selection.html"
    finish(out / "selection.csv", page, following=f"open {page} in a browser, then label them")
