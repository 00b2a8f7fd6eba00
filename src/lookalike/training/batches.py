"""Batches of views, in an order and with parameters that depend on the seed alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike.data.order import batch_positions
from lookalike.data.quarantine import Quarantine
from lookalike.data.resident import Resident
from lookalike.data.samplers import SHUFFLED, Order, appearances
from lookalike.data.sources import ImageSet
from lookalike.data.stream import Crops, CropStream
from lookalike.methods.base import Batch
from lookalike.training.distributed import World
from lookalike.views.make import crop_boxes, finish_views, make_views
from lookalike.views.plans import Plan

Positions = npt.NDArray[np.int64]


class Share(NamedTuple):
    """A process's part of a global batch.

    drawn: (b,) the images. Where one comes more than once in an epoch, N is added each time: its
        place is the remainder by N, and its views are drawn anew.
    similar: (b / 2,) whether images 2 i and 2 i + 1 are alike; None where they are no pairs.
    """

    drawn: Positions
    similar: npt.NDArray[np.bool_] | None


@dataclass(frozen=True, kw_only=True)
class Viewing:
    """How images become batches of views; the same settings give the same batches, bitwise.

    Attributes:
        plan: the views.
        size: side of a view in pixels.
        batch_size: images a step, over all processes.
        seed: of the order and of every view's parameters.
        mean: (3,) taken out of the pixels; 0 leaves them in [0, 1].
        std: (3,) they are divided by.
        world: the processes that share each batch.
        order: how an epoch is laid out.
    """

    plan: Plan
    size: int
    batch_size: int
    seed: int
    mean: Sequence[float]
    std: Sequence[float]
    world: World
    order: Order = SHUFFLED

    def shares(self, labels: Positions, epoch: int, start: int, stop: int) -> list[Share]:
        """Return this process's part of each of some global batches of an epoch.

        Args:
            labels: (N,) of the images.
            epoch: from 0.
            start: the first batch.
            stop: the one after the last.

        Raises:
            ValueError: the processes cannot share a batch evenly, or not without parting a pair.
        """
        size, rank, world = self.batch_size, self.world.rank, self.world.size
        order, similar = self.order.lay_out(labels, batch_size=size, seed=self.seed, epoch=epoch)
        order = order + len(labels) * appearances(order)
        if similar is not None and size // 2 % world:
            raise ValueError(
                f"batch_size must hold as many pairs for each of {world} processes, got {size}"
            )
        part = partial(batch_positions, rank=rank, world=world)
        return [
            Share(
                part(order, batch=number, batch_size=size),
                None
                if similar is None
                else similar[part(np.arange(len(similar)), batch=number, batch_size=size // 2)],
            )
            for number in range(start, stop)
        ]

    def batch(
        self,
        views: tuple[Tensor, ...],
        labels: Tensor,
        index: Tensor,
        similar: npt.NDArray[np.bool_] | None,
    ) -> Batch:
        """Return a batch whose views lie in memory as convolutions like them."""
        views = tuple(view.contiguous(memory_format=torch.channels_last) for view in views)
        told = None if similar is None else torch.from_numpy(similar).to(self.world.device)
        return Batch(views, labels, index, told)


class ResidentBatches:
    """Batches of images that live on the device as uint8; views are cropped there.

    Args:
        images: the pixels.
        labels: (N,) their labels.
        viewing: how they become views.
    """

    def __init__(self, images: Resident, labels: npt.NDArray[np.int64], viewing: Viewing) -> None:
        device = viewing.world.device
        self.count = len(images.pixels)
        self.waited = 0.0
        self._pixels = torch.from_numpy(images.pixels).to(device)
        self._sizes = torch.from_numpy(images.sizes).to(device)
        self._known = labels
        self._labels = torch.from_numpy(labels).to(device)
        self._viewing = viewing

    def epoch(self, epoch: int, *, start: int, stop: int) -> Iterator[Batch]:
        """Yield batches start, ..., stop - 1 of an epoch."""
        viewing = self._viewing
        for share in viewing.shares(self._known, epoch, start, stop):
            drawn = torch.from_numpy(share.drawn).to(viewing.world.device)
            index = drawn % self.count
            views = make_views(
                viewing.plan,
                self._pixels[index],
                self._sizes[index],
                drawn,
                size=viewing.size,
                seed=viewing.seed,
                epoch=epoch,
                mean=viewing.mean,
                std=viewing.std,
            )
            yield viewing.batch(views, self._labels[index], index, share.similar)


class StreamedBatches:
    """Batches of images that are decoded and cropped when their turn comes, by workers.

    Args:
        images: the set.
        viewing: how they become views.
        workers: processes that decode; 0: this one does.
        max_pixels: larger images count as unreadable.
        quarantine: takes note of what cannot be read any more.
        listing: file that it is written to.
        max_unreadable: share of unreadable images above which training stops.
    """

    def __init__(
        self,
        images: ImageSet,
        viewing: Viewing,
        *,
        workers: int,
        max_pixels: int,
        quarantine: Quarantine,
        listing: Path,
        max_unreadable: float,
    ) -> None:
        self.count = len(images)
        self.waited = 0.0
        self._images = images
        self._labels = torch.from_numpy(images.labels)
        self._viewing = viewing
        self._workers = workers
        self._max_pixels = max_pixels
        self._quarantine = quarantine
        self._listing = listing
        self._max_unreadable = max_unreadable

    def epoch(self, epoch: int, *, start: int, stop: int) -> Iterator[Batch]:
        """Yield batches start, ..., stop - 1 of an epoch.

        Raises:
            DataError: too many images cannot be read any more.
        """
        viewing, device, self.waited = self._viewing, self._viewing.world.device, 0.0
        shares = viewing.shares(self._images.labels, epoch, start, stop)
        stream = CropStream(
            self._images,
            [share.drawn for share in shares],
            Boxes(viewing.plan, viewing.seed, epoch),
            views=len(viewing.plan.views),
            size=viewing.size,
            workers=self._workers,
            max_pixels=self._max_pixels,
        )
        crops = iter(stream)
        for share in shares:
            began = time.monotonic()
            made = next(crops)
            self.waited += time.monotonic() - began
            for each in made.unreadable:
                self._quarantine.add(*each)
                self._quarantine.write_csv(self._listing)
                self._quarantine.raise_if_above(self._max_unreadable)
            similar = share.similar
            if similar is not None:
                made, similar = _pair_alone(made, share.drawn % self.count, similar)
            views = finish_views(
                viewing.plan,
                made.pixels.to(device, non_blocking=True),
                torch.from_numpy(share.drawn).to(device),
                seed=viewing.seed,
                epoch=epoch,
                mean=viewing.mean,
                std=viewing.std,
            )
            shown = made.shown
            labels = self._labels[shown].to(device)
            yield viewing.batch(views, labels, shown.to(device), similar)


def _pair_alone(
    made: Crops, wanted: Positions, similar: npt.NDArray[np.bool_]
) -> tuple[Crops, npt.NDArray[np.bool_]]:
    """Pair an image with itself, which it is like, where its other could not be read.

    Nobody said whether it is like what is shown in that one's stead.
    """
    lost = (made.shown.numpy() != wanted).reshape(-1, 2)
    rows = np.arange(lost.size).reshape(-1, 2)
    rows[lost[:, 0], 0] += 1
    rows[lost[:, 1], 1] = rows[lost[:, 1], 0]
    chosen = torch.from_numpy(rows.ravel())
    made = made._replace(pixels=made.pixels[chosen], shown=made.shown[chosen])
    return made, similar | lost.any(axis=1)


class Boxes(NamedTuple):
    """Draws the crops of an epoch, in whichever process."""

    plan: Plan
    seed: int
    epoch: int

    def __call__(self, positions: Tensor, sizes: Tensor, number: int) -> Tensor:
        """Return (B, 4) int64 top, left, height and width of one view of some images."""
        view = self.plan.views[number]
        return crop_boxes(
            view, sizes, seed=self.seed, epoch=self.epoch, index=positions, number=number
        )
