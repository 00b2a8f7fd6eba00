"""The numbers at a run's end: its encoder beside baselines, and a gallery of neighbours."""

from __future__ import annotations

import json

from lookalike.durable import write_atomically
from lookalike.inference import Encoder
from lookalike.judging.gallery import make_gallery
from lookalike.judging.kept import KeptMeasures, cache_folder
from lookalike.judging.scorecard import score
from lookalike.runs.readable import Readable
from lookalike.training.progress import Progress
from lookalike.training.run_folder import RunFolder


def measure(
    encoder: Encoder,
    found: Readable,
    *,
    start: Encoder | None,
    folder: RunFolder,
    progress: Progress,
) -> None:
    """Write evaluation.json and gallery.npz.

    Args:
        encoder: what the run has learnt.
        found: the images that it was trained on.
        start: the encoder that it started from: one baseline more.
        folder: of the run.
        progress: told every line of the scorecard.
    """
    progress.say("measuring the encoder beside pixels, gradients and an untrained network")
    card = score(
        encoder,
        found.spec,
        trained_on=found.source,
        starting=start,
        max_unreadable=found.max_unreadable,
        max_pixels=found.max_pixels,
        kept=KeptMeasures(cache_folder()),
    )
    content = json.dumps(card.to_json(), indent=2)
    write_atomically(folder.path / "evaluation.json", content.encode())
    make_gallery(encoder, card.queries, path=folder.path / "gallery.npz")
    for line in card.lines():
        progress.say(line)
