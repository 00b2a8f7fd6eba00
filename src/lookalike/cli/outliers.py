"""Find images that are unlike all others, and labels that their neighbours speak against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookalike.cli.terminal import Counter, finish, print_json, say, say_left_out, tell

LIBRARY = "curation.outliers:find_outliers"


def outliers(
    run: Path,
    source: str | None = None,
    *,
    out: Path = Path("outliers"),
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    max_unreadable: float = 0.01,
    json: bool = False,
    trust_code: bool = False,
    **settings: Any,
) -> None:
    """Find outliers.

    Args:
        run: a collection that lookalike embed wrote; or folder of a run, with SOURCE.
        source: images, where RUN is a run: a folder, archive, .npz, table or known name.
        out: folder to write to.
        split: part of the source to take.
        limit: images at most, drawn at random.
        seed: of that draw.
        max_unreadable: share of images that may be unreadable; they are left out and counted.
        json: print one JSON object in place of the tables.
        trust_code: let code come from the file or package that the model or run names.
        settings: how to find them, as `curation.outliers.find_outliers` takes it.
    """
    say(f"finding outliers in {source or run}")
    from lookalike.curation.album import open_album
    from lookalike.curation.outliers import find_outliers, write_csv
    from lookalike.report.outliers import write_outliers

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
    say_left_out(source, album.images.left_out)
    found = find_outliers(album, **settings)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(found, out / "outliers.csv")
    write_outliers(found, out / "outliers.html")
    if json:
        print_json(found.to_json())
    else:
        tell(found.lines())
    page = out / "outliers.html"
    finish(out / "outliers.csv", page, following=f"open {page} in a browser")
