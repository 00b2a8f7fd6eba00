"""Batches of views, in an order and with parameters that depend on the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike.data.order import batch_positions, epoch_order
from lookalike.data.resident import Resident
from lookalike.methods.base import Batch
from lookalike.training.distributed import World
from lookalike.views.make import make_views
from lookalike.views.plans import Plan


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
        channels_last: whether views are laid out as the convolutions of this device like them.
    """

    plan: Plan
    size: int
    batch_size: int
    seed: int
    mean: Sequence[float]
    std: Sequence[float]
    world: World
    channels_last: bool = True

    def batch(self, views: tuple[Tensor, ...], labels: Tensor, index: Tensor) -> Batch:
        """Return a batch whose views lie in memory as this device likes them."""
        if self.channels_last:
            views = tuple(view.contiguous(memory_format=torch.channels_last) for view in views)
        return Batch(views, labels, index)


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
        self._labels = torch.from_numpy(labels).to(device)
        self._viewing = viewing

    def epoch(self, epoch: int, *, start: int, stop: int) -> Iterator[Batch]:
        """Yield batches start, ..., stop - 1 of an epoch."""
        viewing, self.waited = self._viewing, 0.0
        order = epoch_order(self.count, seed=viewing.seed, epoch=epoch)
        for number in range(start, stop):
            positions = batch_positions(
                order,
                batch=number,
                batch_size=viewing.batch_size,
                rank=viewing.world.rank,
                world=viewing.world.size,
            )
            index = torch.from_numpy(positions).to(viewing.world.device)
            views = make_views(
                viewing.plan,
                self._pixels[index],
                self._sizes[index],
                index,
                size=viewing.size,
                seed=viewing.seed,
                epoch=epoch,
                mean=viewing.mean,
                std=viewing.std,
            )
            yield viewing.batch(views, self._labels[index], index)
