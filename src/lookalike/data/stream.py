"""Crops of images that are too many or too large to hold, made while they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lookalike.data.crops import Boxes, Cropper, Positions, Unread
from lookalike.data.decode import MAX_PIXELS
from lookalike.data.image_set import ImageSet, Unreadable
from lookalike.data.workers import Worker, WorkerDiedError
from lookalike.errors import DataError, LookalikeError
from lookalike.names import shown


class Crops(NamedTuple):
    """A batch of crops.

    pixels: (B, V, 3, S, S) uint8, V crops of each image.
    shown: (B,) int64, each image's place in its set: the one asked for, or the one in its stead.
    unreadable: the images that could not be read.
    """

    pixels: Tensor
    shown: Tensor
    unreadable: tuple[Unreadable, ...]


class CropStream:
    """Batches of crops, in order; the same ones with any number of workers.

    Args:
        images: the set.
        batches: the places in the set of each batch's images, (B,) each, or N more, or 2 N, for
            other crops of the same image; to go on in the middle, give those that are left.
        boxes: draws the crops; must be picklable if there are workers.
        views: crops of each image.
        size: side of a crop in pixels.
        workers: processes that make them; 0 makes them here, when they are asked for.
        max_pixels: larger images count as unreadable.
    """

    def __init__(
        self,
        images: ImageSet,
        batches: Sequence[Positions],
        boxes: Boxes,
        *,
        views: int,
        size: int,
        workers: int = 0,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.restarts = 0
        self._images = images
        self._batches = batches
        self._cropper = Cropper(images.reader, images.keys, boxes, views, size, max_pixels)
        self._workers = min(workers, len(batches))

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Crops]:
        """Yield the batches.

        Raises:
            DataError: no image can be read, or a worker died twice at the same one.
            LookalikeError: workers cannot be started.
        """
        return self._made_by_workers() if self._workers else self._made_here()

    def _made_here(self) -> Iterator[Crops]:
        views, size = self._cropper.views, self._cropper.size
        for positions in self._batches:
            pixels = torch.empty((len(positions), views, 3, size, size), dtype=torch.uint8)
            yield self._named(pixels, *self._cropper.cut(positions, pixels.numpy()))

    def _made_by_workers(self) -> Iterator[Crops]:
        room = max(map(len, self._batches))
        workers: list[Worker] = []
        try:
            for first in range(self._workers):
                share = self._batches[first :: self._workers]
                workers.append(Worker(self._cropper, share, room=room))
            for number in range(len(self._batches)):
                made = workers[number % len(workers)].take()
                self.restarts = sum(worker.restarts for worker in workers)
                yield self._named(*made)
        except WorkerDiedError as death:
            raise self._blame(death) from death
        finally:
            for worker in workers:
                worker.stop()

    def _blame(self, death: WorkerDiedError) -> LookalikeError:
        if death.position is None:
            return LookalikeError(
                f"a worker process died twice before it read an image ({death.how})\n"
                "fix: see above for what it said; --workers 0 does without it"
            )
        return DataError(
            f"a worker process died twice while it read {shown(self._images.ids[death.position])} "
            f"({death.how})\n"
            "fix: remove that image; or, if memory or /dev/shm was full, use fewer --workers"
        )

    def _named(self, pixels: Tensor, shown: Positions, unread: list[Unread]) -> Crops:
        unreadable = (Unreadable(self._images.ids[one.position], one.reason) for one in unread)
        return Crops(pixels, torch.from_numpy(shown), tuple(unreadable))
