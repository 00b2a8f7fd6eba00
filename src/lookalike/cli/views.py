"""Write a picture of the views that training would see of some images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookalike.cli.command import Group
from lookalike.cli.terminal import finish, say
from lookalike.runs.asked import judge

LIBRARY = "runs.preview:preview"
GROUPS = (Group("views", "views.plans", entry="View"),)


def views(source: str, *, out: Path = Path("views.png"), **settings: Any) -> None:
    """Picture.

    Args:
        source: images: a folder, archive, .npz, table or known name such as hands.
        out: the picture to write.
        settings: arguments of `runs.preview.preview`.
    """
    judge(settings)
    say(f"importing torch to picture {source}")
    from lookalike.runs.preview import preview

    picture = preview(source, **settings)
    out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(out, format="PNG")
    finish(out, following=f"lookalike train {source}")
