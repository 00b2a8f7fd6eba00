"""Find test images that are in the training set too, as exact or as altered copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookalike.cli.terminal import Counter, finish, print_json, say, tell

LIBRARY = "curation.leaks:find_leaks"


def leaks(
    run: str,
    train: str,
    test: str | None = None,
    *,
    out: Path = Path("leaks"),
    limit: int | None = None,
    json: bool = False,
    trust_code: bool = False,
    **settings: Any,
) -> None:
    """Find leaks.

    Args:
        run: folder of a run, or the model folder in it; or left out: lookalike leaks TRAIN TEST.
            An encoder finds more, but none is needed.
        train: images that were trained on: a folder, archive, .npz, table, or hands/train.
        test: images to test with, such as hands/test.
        out: folder to write to.
        limit: images of either at most, drawn at random.
        json: print one JSON object in place of the table.
        trust_code: let code come from the file or package that the model or run names.
        settings: how to find them, as `curation.leaks.find_leaks` takes it.
    """
    sides = (run, train) if test is None else (train, test)
    say(f"comparing {sides[1]} with {sides[0]}")
    from lookalike.curation.album import open_album, plain_album
    from lookalike.curation.leaks import find_leaks, write_csv
    from lookalike.inference import require_no_run
    from lookalike.report.duplicates import write_leaks

    common = {name: settings[name] for name in ("seed", "max_unreadable") if name in settings}
    albums = []
    for source in sides:
        if test is None:
            require_no_run(source, "TEST is missing: lookalike leaks RUN TRAIN TEST")
            albums.append(plain_album(source, limit=limit, seed=settings.get("seed", 0)))
            continue
        with Counter("images embedded") as count:
            album = open_album(
                run, source, limit=limit, trust_code=trust_code, progress=count, **common
            )
        albums.append(album)
    with Counter("images looked at") as count:
        found = find_leaks(*albums, progress=count, **settings)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(found, out / "leaks.csv")
    write_leaks(found, out / "leaks.html")
    if json:
        print_json(found.to_json())
    else:
        tell(found.lines())
    finish(
        out / "leaks.csv",
        out / "leaks.html",
        following=f"open {out / 'leaks.html'} in a browser",
    )
