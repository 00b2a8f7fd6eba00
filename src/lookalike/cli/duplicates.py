"""Find images that are there more than once, and say which to keep; nothing is moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookalike.cli.terminal import Counter, finish, print_json, say, say_left_out, tell

LIBRARY = "curation.duplicates:find_duplicates"


def duplicates(
    images: str,
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
        images: a folder, archive, .npz, table or known name; a collection that lookalike embed
            wrote; or the folder of a run, with SOURCE. An encoder finds more, but none is needed.
        source: images, where IMAGES is a run.
        out: folder to write to.
        split: part of the source to take.
        limit: images at most, drawn at random.
        json: print one JSON object in place of the table.
        trust_code: let code come from the file or package that the model or run names.
        settings: how to find them, as `curation.duplicates.find_duplicates` takes it.
    """
    say(f"finding duplicates in {source or images}")
    import json as json_format

    from lookalike.curation.album import is_collection, open_album, plain_album
    from lookalike.curation.duplicates import find_duplicates, write_csv
    from lookalike.curation.moves import require_none_begun
    from lookalike.durable import write_atomically
    from lookalike.inference import require_no_run
    from lookalike.report.duplicates import write_review

    require_none_begun(out)
    common = {name: settings[name] for name in ("seed", "max_unreadable") if name in settings}
    if source is None and not is_collection(images):
        require_no_run(images, "a SOURCE must say which images are meant")
        album = plain_album(images, split=split, limit=limit, seed=settings.get("seed", 0))
    else:
        with Counter("images embedded") as count:
            album = open_album(
                images,
                source,
                split=split,
                limit=limit,
                trust_code=trust_code,
                progress=count,
                **common,
            )
    say_left_out(source or images, album.images.left_out)
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
        tell(found.lines())
    following = f"open {out / 'duplicates.html'} in a browser"
    if source is None and is_collection(images) and found.groups:
        following = f"lookalike serve {images} --duplicates {out}"
    if found.spare and album.folder is not None:
        following += f"   or   lookalike apply {out} --move-to FOLDER"
    finish(*(out / f"duplicates.{kind}" for kind in ("csv", "json", "html")), following=following)
