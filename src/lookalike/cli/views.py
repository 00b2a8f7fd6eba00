"""Write a picture of the views that training would see of some images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.cli.command import Group
from lookalike.cli.terminal import finish, say

GROUPS = (Group("views", "views.plans", entry="View"),)


def views(
    source: str,
    *,
    out: Path = Path("views.png"),
    method: str = "simclr",
    views: str | None = None,
    size: int | None = None,
    count: int = 8,
    seed: int = 0,
    views_arguments: Mapping[str, Any] | None = None,
) -> None:
    """Picture.

    Args:
        source: images: a folder, archive, .npz, table or known name such as hands.
        out: the picture to write.
        method: training scheme whose views they are.
        views: plan of views, by name; none: the method's for images of this size.
        size: side of a view in pixels; none: as training would choose.
        count: images to show.
        seed: of every random choice.
        views_arguments: fields of every view in the plan, by name.
    """
    say(f"importing torch to picture {source}")
