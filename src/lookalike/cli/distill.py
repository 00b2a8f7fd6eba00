"""Train a small encoder whose neighbours are a large one's, and compare both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookalike.cli.command import Group
from lookalike.cli.terminal import finish, print_json, say, tell
from lookalike.runs.asked import judge

GROUPS = (Group("student", "backbones", noun="student's backbone"),)


def distill(
    run: Path,
    *,
    student: str,
    data: str | None = None,
    out: Path | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    size: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    json: bool = False,
    trust_code: bool = False,
    **settings: Any,
) -> None:
    """Distil.

    Args:
        run: the teacher: folder of a run, or a model folder.
        student: backbone of the small encoder, such as small_conv or mobilenetv3_small_100.
        data: images to learn from (default: those that the teacher was trained on).
        out: folder of the student's run (default: the teacher's, with the student's name).
        epochs: times every image is seen (default: as fits the images and the machine).
        batch_size: images a step (default: as fits the images and the machine).
        size: side of a view in pixels (default: the teacher's).
        seed: of everything that is random.
        overwrite: delete what the run folder holds and start anew.
        json: print one JSON object in place of the table.
        trust_code: let code come from the file or package that the teacher names.
        settings: arguments of the student's backbone.
    """
    numbers = {"epochs": epochs, "batch_size": batch_size, "size": size, "seed": seed}
    judge({"student": student, **numbers})
    say(f"importing torch to distil {run} into {student}")
    from lookalike.runs import distilled

    done, found = distilled.distill(
        run,
        student=student,
        data=data,
        out=out,
        trust_code=trust_code,
        epochs=epochs,
        batch_size=batch_size,
        size=size,
        seed=seed,
        overwrite=overwrite,
        **settings,
    )
    if json:
        print_json({"run": done.path, **found.to_json()})
    else:
        tell(found.lines())
    is_run = (run / "run.json").is_file()  # else it is a model folder, of which nothing is told
    both = f"report {run} {done.path} --out compare.html"
    following = both if is_run else f"evaluate {done.path} --data SOURCE"
    finish(
        done.path / "model",
        done.path / "comparison.json",
        done.path / "changed.csv",
        following=f"lookalike {following}",
    )
