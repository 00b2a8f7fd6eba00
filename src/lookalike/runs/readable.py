"""Images that can be read: a source decoded if it fits in memory, what is unreadable set apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.data.order import epoch_order
from lookalike.data.quarantine import Quarantine, survey
from lookalike.data.resident import Resident, load_resident, load_squares, resident_bytes
from lookalike.data.sources import ImageSet, open_source
from lookalike.errors import DataError
from lookalike.training.progress import Progress
from lookalike.views.plans import Plan

MEASURED = 2000
"""Images whose pixels tell the mean and deviation of the channels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Readable:
    """Images that can be read: what all further steps begin with.

    Attributes:
        spec: what the user called them.
        source: all of them, readable or not.
        positions: (N,) of those that can be read.
        sizes: (N, 2) their heights and widths.
        resident: their pixels, if they are kept in memory; None where they are streamed.
        quarantine: the run's list of those that cannot be read; more may join it.
        listing: file that these are written to.
        max_pixels: above which an image is refused.
        max_unreadable: share of unreadable images above which training stops.
    """

    spec: str | Path
    source: ImageSet
    positions: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    resident: Resident | None
    quarantine: Quarantine
    listing: Path
    max_pixels: int
    max_unreadable: float

    @cached_property
    def images(self) -> ImageSet:
        """The N readable ones."""
        return self.source.select(self.positions)

    @property
    def side(self) -> int:
        """Median of the shorter sides, in pixels."""
        return int(np.median(self.sizes.min(axis=1)))

    def keep(self, rows: npt.NDArray[np.int64]) -> Readable:
        """Return only these of the N images."""
        resident = self.resident
        if resident is not None:
            pixels, sizes, positions = resident
            resident = Resident(pixels[rows], sizes[rows], positions[rows])
        return replace(
            self, positions=self.positions[rows], sizes=self.sizes[rows], resident=resident
        )

    def relabel(self, labels: npt.NDArray[np.int64]) -> Readable:
        """Return the same images with other labels: one of each in the source, -1 for none."""
        return replace(self, source=replace(self.source, labels=labels))

    def squares(
        self, count: int, *, size: int, seed: int
    ) -> tuple[npt.NDArray[np.uint8], ImageSet]:
        """Return at most `count` images, drawn with a seed, as (n, 3, size, size) squares."""
        drawn = np.sort(epoch_order(len(self.images), seed=seed, epoch=0)[:count])
        images = self.images.select(drawn)
        squares, kept = load_squares(images, size, max_pixels=self.max_pixels)
        return squares, images.select(kept)

    def pixel_statistics(
        self, plan: Plan, *, size: int
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return what a plan takes out of the pixels: mean and deviation, or (0, ...), (1, ...)."""
        if not plan.normalise:
            return (0.0,) * 3, (1.0,) * 3
        squares, _ = self.squares(MEASURED, size=size, seed=0)
        pixels = squares.astype(np.float64) / 255
        mean, std = pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))
        return tuple(mean.round(4).tolist()), tuple(np.maximum(std, 1e-3).round(4).tolist())


def collect(
    source: str | Path,
    *,
    download: bool,
    limit: int | None,
    seed: int,
    resident_bytes_allowed: int,
    max_pixels: int,
    max_unreadable: float,
    listing: Path,
    progress: Progress,
) -> Readable:
    """Open a source, set its unreadable images apart, and decode the others if they fit.

    What is unreadable is written to the file `listing` before anything is said.

    Raises:
        UsageError: there is no such source.
        DataError: no image can be read, or too many cannot.
    """
    images = open_source(source, download=download)
    if limit is not None:
        images = _limited(images, limit, seed=seed)
    quarantine = Quarantine(len(images), images.ignored)
    look = telling(progress, "reading")
    needed = resident_bytes(images, limit=resident_bytes_allowed, max_pixels=max_pixels)
    resident: Resident | None = None
    if needed <= resident_bytes_allowed:
        resident = load_resident(
            images, max_pixels=max_pixels, progress=look, quarantine=quarantine
        )
        positions, sizes = resident.positions, resident.sizes
    else:
        seen = survey(images, decode_all=False, max_pixels=max_pixels, progress=look)
        for each in seen.unreadable:
            quarantine.add(*each)
        positions, sizes = seen.positions, seen.sizes
    quarantine.write_csv(listing)
    if not len(positions):
        first = next(iter(quarantine))
        raise DataError(
            f"none of the {len(images):,} images of {source} can be read, for example {first}\n"
            f"  fix: lookalike check {source} lists them with reasons"
        )
    quarantine.raise_if_above(max_unreadable)
    return Readable(
        spec=source,
        source=images,
        positions=positions,
        sizes=sizes,
        resident=resident,
        quarantine=quarantine,
        listing=listing,
        max_pixels=max_pixels,
        max_unreadable=max_unreadable,
    )


def images_trained_on(config: Mapping[str, Any]) -> ImageSet:
    """Return the images that a run was trained on, readable or not, from its resolved settings.

    Raises:
        UsageError: they are no longer there.
        DataError: their source is damaged.
    """
    images = open_source(config["source"], split=config.get("split"))
    return _limited(images, config["images"] + config["unreadable"], seed=config["seed"])


def _limited(images: ImageSet, limit: int, *, seed: int) -> ImageSet:
    """Return all images, or as many as the limit, drawn with the seed."""
    return images.select(np.sort(epoch_order(len(images), seed=seed, epoch=0)[:limit]))


def telling(progress: Progress, verb: str) -> Callable[[int, int], None]:
    """Return what shows how many images of how many were read, or else."""

    def show(done: int, total: int) -> None:
        progress.show(done, total, {}, noun=f"{verb} image")

    return show
