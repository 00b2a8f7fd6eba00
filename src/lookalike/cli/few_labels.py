"""Learn from all images and a few labels: pretrain, fine-tune, distil; and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookalike.cli.command import Group
from lookalike.cli.terminal import finish, print_json, say, tell
from lookalike.runs.asked import judge

LIBRARY = "runs.few_labels:learn_from_few"
GROUPS = (Group("backbone", "backbones"),)


def few_labels(
    source: str,
    *,
    labels: float = 0.01,
    out: Path | None = None,
    json: bool = False,
    **settings: Any,
) -> None:
    """Learn from few labels.

    Args:
        source: images, some with labels, with a test split: a folder, archive, table or known name.
        labels: share of each class's labels to use, in (0, 1].
        out: folder of the runs (default: runs/SOURCE-few-labels).
        json: print one JSON object in place of the table.
        settings: as `few_labels.learn_from_few` takes it.
    """
    judge({"labels": labels, **settings})
    say(f"importing torch to learn from {source} and {labels:.0%} of its labels")
    from lookalike.runs.few_labels import learn_from_few

    out = out or Path("runs") / f"{Path(source).stem}-few-labels"
    found = learn_from_few(source, labels=labels, out=out, say=say, **settings)
    if json:
        print_json(found.to_json())
    else:
        tell(found.lines())
    best = out / "distilled"
    finish(best / "model", out / "few_labels.json", following=f"lookalike evaluate {best}")
