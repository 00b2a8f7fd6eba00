"""Tell pairs of one person or thing from pairs of two, as LFW does; draw the curves."""

from __future__ import annotations

import json as json_format
from collections.abc import Collection
from pathlib import Path
from typing import Any

from lookalike.cli.terminal import Counter, finish, print_json, say, tell
from lookalike.errors import DataError, UsageError

LIBRARY = "judging.verify:verify_pairs"


def verify(
    run: Path,
    pairs: Path,
    *,
    data: str | None = None,
    allow_missing: bool = False,
    json: bool = False,
    trust_code: bool = False,
    **protocol: Any,
) -> None:
    """Verify.

    Args:
        run: folder of a run, or the model folder in it.
        pairs: LFW's pairs.txt, or a .csv or .parquet of path_a, path_b, same and perhaps fold.
        data: images that the pairs are of (default: those that the run was trained on).
        allow_missing: leave out pairs of images that are not there, and count them.
        json: print one JSON object in place of the table.
        trust_code: let code come from the file or package that the model or run names.
        protocol: how to measure, as `verify.verify_pairs` takes it.
    """
    say(f"verifying {run} on {pairs}")
    from lookalike.data.pairs import read_pairs
    from lookalike.data.sources import open_source
    from lookalike.durable import write_atomically
    from lookalike.inference import load_encoder
    from lookalike.judging.verify import verify_pairs
    from lookalike.report.verification import write_page

    is_run = (run / "run.json").is_file()  # else it is a model folder, which is only read
    if not is_run and data is None:
        raise UsageError(f"{run} is no run, so --data must name the images that the pairs are of")
    images = open_source(data or _source(run))
    listed = read_pairs(pairs, images, allow_missing=allow_missing)
    encoder = load_encoder(run, trust_code=trust_code)
    known = _trained_on(run) if is_run else None
    with Counter("images") as count:
        card = verify_pairs(encoder, images, listed, trained_on=known, progress=count, **protocol)
    told = card.to_json() | {"list": pairs.name}
    if card.trained_on:
        say(
            f"warning: {card.trained_on:,} of the {card.images:,} images in these pairs were "
            "trained on; what is measured on them says little of people not seen before"
        )
    if json:
        print_json(told)
    else:
        tell(card.lines())
    if is_run:
        write_atomically(
            run / "verification.json", json_format.dumps(told, indent=2, allow_nan=False).encode()
        )
        page = write_page(
            told, run / "verification.html", thumbs=card.thumbs, thumb_ids=card.thumb_ids
        )
        finish(run / "verification.json", page, following=f"open {page} in a browser")


def _source(run: Path) -> str:
    from lookalike.training.run_folder import Run

    return str(Run(run).config["source"])


def _trained_on(run: Path) -> Collection[str] | None:
    """Return the ids of the images that a run was trained on, or None if they are gone."""
    from lookalike.runs.readable import images_trained_on
    from lookalike.training.run_folder import Run

    try:
        return frozenset(images_trained_on(Run(run).config).ids)
    except (UsageError, DataError) as problem:
        say(f"what it was trained on cannot be told: {str(problem).splitlines()[0]}")
        return None
