"""Images ready to train on: whole, from memory or streamed, or a patch of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lookalike.data.order import epoch_order
from lookalike.data.patches import CONTEXT, load_patches, resident_patches
from lookalike.data.resident import Resident
from lookalike.data.sources import ImageSet
from lookalike.errors import UsageError
from lookalike.runs.readable import Readable, telling
from lookalike.runs.sampling import Sampling
from lookalike.runs.told import Told
from lookalike.training.batches import ResidentBatches, StreamedBatches, Viewing
from lookalike.training.progress import Progress


@dataclass(frozen=True, eq=False)
class Collection:
    """Whole images, ready to train on.

    Args:
        told: the images, and what training may know of them.
    """

    told: Told

    @property
    def found(self) -> Readable:
        """The images as they were found."""
        return self.told.found

    @property
    def images(self) -> ImageSet:
        """Those that training sees."""
        return self.found.images

    @property
    def resident(self) -> Resident | None:
        """The pixels that training sees, if they are kept in memory."""
        return self.found.resident

    def steps_an_epoch(self, drawn: Sampling, *, seed: int) -> int:
        """Return the whole batches in an epoch.

        Raises:
            UsageError: these images cannot be laid out so.
        """
        labels, size = self.images.labels, drawn.batch_size
        try:
            laid = drawn.order.lay_out(labels, batch_size=size, seed=seed, epoch=0)
        except ValueError as problem:
            raise UsageError(f"--sampling {drawn.name}: {problem}") from problem
        return len(laid.positions) // size

    def batches(self, viewing: Viewing, *, workers: int) -> ResidentBatches | StreamedBatches:
        """Return batches of views of these images."""
        if self.resident is not None:
            return ResidentBatches(self.resident, self.images.labels, viewing)
        return StreamedBatches(
            self.images,
            viewing,
            workers=workers,
            max_pixels=self.found.max_pixels,
            quarantine=self.found.quarantine,
            listing=self.found.listing,
            max_unreadable=self.found.max_unreadable,
        )

    def picture_size(self, size: int) -> int:
        """Return the side at which to look at whole images, once trained on views of a size."""
        return size

    def shown(
        self, count: int, *, size: int, seed: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Return a few of what views are made of: (n, 3, H, W) pixels and (n, 2) sizes."""
        squares, _ = self.found.squares(count, size=2 * size, seed=seed)
        return squares, np.full((len(squares), 2), 2 * size)


@dataclass(frozen=True, eq=False)
class Patches(Collection):
    """One patch of each image in its place, held in memory.

    Args:
        told: the images, and what training may know of them.
        cut: their patches.
    """

    cut: Resident

    @property
    def resident(self) -> Resident:
        """The patches."""
        return self.cut

    def picture_size(self, size: int) -> int:
        """Return the side at which to look at whole images, once trained on views of a size.

        They are larger than views: things then look as large in them as they do in the patches.
        """
        return min(max(self.found.side, size), CONTEXT * size)

    def shown(
        self, count: int, *, size: int, seed: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Return a few of the patches: (n, 3, H, W) pixels and (n, 2) sizes."""
        drawn = np.sort(epoch_order(len(self.images), seed=seed, epoch=0)[:count])
        return self.cut.pixels[drawn], self.cut.sizes[drawn]


def cut_patches(told: Told, size: int, *, seed: int, progress: Progress) -> Patches:
    """Take one patch of each image in its place, where its gradients are, and hold them.

    Args:
        told: the images; those that can no longer be read are left out.
        size: side of a patch in pixels.
        seed: of the choice of places.
        progress: told how many are cut.

    Raises:
        DataError: too many images cannot be read any more.
    """
    found = told.found
    if found.resident is not None:
        return Patches(told, resident_patches(found.resident, size, seed=seed))
    cut = load_patches(
        found.source,
        found.positions,
        size,
        seed=seed,
        max_pixels=found.max_pixels,
        progress=telling(progress, "cutting"),
        quarantine=found.quarantine,
    )
    found.quarantine.write_csv(found.listing)
    found.quarantine.raise_if_above(found.max_unreadable)
    kept = np.flatnonzero(np.isin(found.positions, cut.positions))
    return Patches(replace(told, found=found.keep(kept)), cut)
