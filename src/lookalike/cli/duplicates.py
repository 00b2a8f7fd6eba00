"""Find images that are there more than once, and say which to keep; nothing is moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookalike.cli.terminal import Counter, finish, print_json, say, say_left_out

LIBRARY = "curation.duplicates:find_duplicates"


def duplicates(
    run: Path,
    source: str | None = None,
    *,
    out: Path = Path("duplicates"),
    split: str | None = None,
    limit: int | None = None,
    json: bool = False,
    trust_code: bool = False,
    **settings: Any,
) -> None:
    """Find duplicates.

    Args:
        run: a collection that lookalike embed wrote; or folder of a run, with SOURCE.
        source: images, where RUN is a run: a folder, archive, .npz, table or known name.
        out: folder to write to.
        split: part of the source to take.
        limit: images at most, drawn at random.
        json: print one JSON object in place of the table.
        trust_code: let code come from the file or package that the model or run names.
        settings: how to find them, as `curation.duplicates.find_duplicates` takes it.
    """
    say(f"finding duplicates in {source or run}")
    import json as json_format

    from lookalike.curation.album import open_album
    from lookalike.curation.duplicates import find_duplicates, write_csv
    from lookalike.curation.moves import require_none_begun
    from lookalike.durable import write_atomically
    from lookalike.report.duplicates import write_review

    require_none_begun(out)
    common = {name: settings[name] for name in ("seed", "max_unreadable") if name in settings}
    with Counter("images embedded") as count:
        album = open_album(
            run,
            source,
            split=split,
            limit=limit,
            trust_code=trust_code,
            progress=count,
            **common,
        )
    say_left_out(source, album.images.left_out)
    with Counter("images looked at") as count:
        found = find_duplicates(album, progress=count, **settings)
    out.mkdir(parents=True, exist_ok=True)
    told = found.to_json()
    write_csv(found, out / "duplicates.csv")
    write_atomically(out / "duplicates.json", json_format.dumps(told, indent=1).encode())
    write_review(found, out / "duplicates.html")
    if json:
        print_json(told)
    else:
        print("\n".join(found.lines()))
    following = f"open {out / 'duplicates.html'} in a browser"
    if source is None and found.groups:
        following = f"lookalike serve {run} --duplicates {out}"
    if found.spare and album.folder is not None:
        following += f"   or   lookalike apply {out} --move-to FOLDER"
    finish(*(out / f"duplicates.{kind}" for kind in ("csv", "json", "html")), following=following)
