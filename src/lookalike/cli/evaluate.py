"""Score an encoder on images, beside pixels, gradients and the untrained network."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.cli.terminal import Counter, finish, print_json, say, tell
from lookalike.errors import DataError, UsageError

if TYPE_CHECKING:
    from lookalike.data.sources import ImageSet
    from lookalike.inference import Encoder

LIBRARY = "judging.scorecard:score"


def evaluate(
    run: Path,
    *,
    data: str,
    layers: bool = False,
    teacher: Path | None = None,
    json: bool = False,
    cache: bool = True,
    trust_code: bool = False,
    **protocol: Any,
) -> None:
    """Score.

    Args:
        run: folder of a run, or the model folder in it.
        data: images to ask about: a folder, archive, .npz, table or known name such as hands/test.
        layers: also probe after every layer of the head, to see where best to cut it off.
        teacher: a run that tells the same classes apart, to compare the answers of this one with.
        json: print one JSON object in place of the table.
        cache: keep the numbers of the baselines in the user's cache folder, and use those that lie
            there for the same images.
        trust_code: let code come from the file or package that the model or run names.
        protocol: how to measure, as `scorecard.score` takes it.
    """
    say(f"scoring {run} on {data}")
    from lookalike.durable import write_atomically
    from lookalike.inference import load_encoder
    from lookalike.judging.gallery import make_gallery
    from lookalike.judging.kept import KeptMeasures, cache_folder
    from lookalike.judging.scorecard import score
    from lookalike.runs.answers import compare_answers
    from lookalike.training.run_folder import Run

    sides = (Run(run), Run(teacher)) if teacher is not None else ()
    is_run = (run / "run.json").is_file()  # else it is a model folder, which is only read
    if is_run:
        protocol.setdefault("trained_on", _images_of(run))
        protocol["starting"] = _starting(run, trust_code=trust_code)
    encoder = load_encoder(run, trust_code=trust_code)
    if layers:
        from lookalike.runs.layers import load_stages

        protocol["stages"] = load_stages(run, device=encoder.device, trust_code=trust_code)
    if cache:
        protocol["kept"] = KeptMeasures(cache_folder())
    with Counter("images") as count:
        card = score(encoder, data, progress=count, **protocol)
    if layers and not card.layers:
        say("no layer can be probed where nobody can vote")
    told, lines = card.to_json(), card.lines()
    if sides:
        say(f"comparing its answers with those of {teacher}")
        measures = compare_answers(*sides, card.queries, trust_code=trust_code)
        told["teacher"] = {"run": str(teacher), **measures.to_json()}
        verdict = lines.pop() if card.verdict else ""  # it stays last
        lines += [f"beside the teacher {teacher}", *measures.lines(), *filter(None, [verdict])]
    if json:
        print_json(told)
    else:
        tell(lines)
    if is_run:
        write_atomically(run / "evaluation.json", json_format.dumps(told, indent=2).encode())
        make_gallery(encoder, card.queries, path=run / "gallery.npz")
        finish(run / "evaluation.json", run / "gallery.npz", following=f"lookalike report {run}")


def _images_of(run: Path) -> ImageSet | None:
    """Return the images that a run was trained on, or None if they are no longer there."""
    from lookalike.data.sources import open_source
    from lookalike.training.run_folder import Run

    try:
        return open_source(Run(run).config["source"])
    except (UsageError, DataError) as problem:
        say(f"what it was trained on cannot vote: {str(problem).splitlines()[0]}")
        return None


def _starting(run: Path, *, trust_code: bool) -> Encoder | None:
    """Return the encoder that a run started from, or None if there is none any more."""
    from lookalike.inference import load_encoder
    from lookalike.training.run_folder import Run

    origin = Run(run).config.get("from")
    try:
        return load_encoder(origin, trust_code=trust_code) if origin else None
    except UsageError as problem:
        say(f"what it started from is no baseline: {str(problem).splitlines()[0]}")
        return None
