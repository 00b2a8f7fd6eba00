"""What training would see of some images, as a picture, before there is a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from lookalike import _check, registry
from lookalike.data.order import epoch_order
from lookalike.data.patches import resident_patches
from lookalike.data.resident import load_resident
from lookalike.data.sources import open_source
from lookalike.errors import DataError
from lookalike.methods.base import Method
from lookalike.runs.defaults import Resolved, resolve
from lookalike.runs.facts import Facts
from lookalike.runs.job import asked_for
from lookalike.runs.solving import Settings
from lookalike.solved.base import Solved
from lookalike.views.picture import views_picture

_DRAWN: Final = 4  # images looked at for each one shown, as some may not be readable


def preview(
    source: str | Path,
    *,
    method: str | None = None,
    views: str | None = None,
    size: int | None = None,
    count: int = 8,
    seed: int = 0,
    download: bool = False,
    views_arguments: Mapping[str, Any] | None = None,
) -> Image.Image:
    """Return a picture of some images, each beside the views that training would make of it.

    Args:
        source: images: a folder, archive, `.npz`, table or known name.
        method: training scheme whose views they are, by name, or mine.py:MyMethod; none: the one
            that training would choose.
        views: plan of views, by name; none: the method's for images of this size.
        size: side of a view in pixels; none: as training would choose.
        count: images to show, >= 1.
        seed: of the choice of images, and of every view.
        download: fetch a known set that is not here yet.
        views_arguments: fields of every view in the plan, by name.

    Raises:
        UsageError: an argument cannot be.
        DataError: no image can be read.
    """
    _check.at_least(1, count=count)
    asked = asked_for(
        source,
        method=method,
        views=views,
        size=size,
        seed=seed,
        views_arguments=views_arguments,
        sampling="shuffled",  # a picture of views needs no labels
    )
    images = open_source(source, download=download)
    drawn = epoch_order(len(images), seed=seed, epoch=0)[: count * _DRAWN]
    shown = load_resident(images.select(drawn))
    if not len(shown.positions):
        raise DataError(
            f"none of {len(drawn)} images of {source} can be read\n"
            f"  fix: lookalike check {source} lists them with reasons"
        )
    side = int(np.median(shown.sizes.min(axis=1)))
    scheme: type[Method] | type[Solved] = registry.load(registry.locate("methods", asked.method))
    facts = Facts(len(images), side, resident=True, class_names=len(images.class_names))
    settings: Settings | Resolved
    if issubclass(scheme, Solved):
        settings = Settings(asked, scheme, facts, None)
    else:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        settings = resolve(asked, scheme, facts, device)
    positions = drawn[shown.positions]
    if issubclass(scheme, Method) and scheme.seed_patches:
        shown = resident_patches(shown._replace(positions=positions), settings.size, seed=seed)
    return views_picture(
        settings.plan,
        torch.from_numpy(shown.pixels[:count]),
        torch.from_numpy(shown.sizes[:count]),
        torch.from_numpy(positions[:count]),
        size=settings.size,
        seed=seed,
    )
