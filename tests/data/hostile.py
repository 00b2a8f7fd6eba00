"""Readers and boxes that worker processes can import: they come here by pickling."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lookalike.data.decode import UnreadableImage
from lookalike.data.image_set import Reader
from lookalike.views.make import crop_boxes
from lookalike.views.plans import SIMCLR


def simclr_boxes(positions: Tensor, sizes: Tensor, number: int) -> Tensor:
    """Draw as training does."""
    view = SIMCLR.views[number]
    return crop_boxes(view, sizes, seed=3, epoch=1, index=positions, number=number)


def whole_boxes(positions: Tensor, sizes: Tensor, number: int) -> Tensor:
    """Take the whole of each image."""
    return torch.cat([torch.zeros_like(sizes), sizes], dim=1)


@dataclass(frozen=True)
class DeadlyReader:
    """Ends the process that reads one image, as often as there are tickets to take."""

    reader: Reader
    deadly: int
    tickets: Path

    def read(self, key: int, limit: int | None = None) -> object:
        """Read, or die."""
        if key == self.deadly:
            for ticket in self.tickets.iterdir():
                ticket.unlink()
                os._exit(7)
        return self.reader.read(key, limit)


@dataclass(frozen=True)
class GoneReader:
    """Finds some of the images gone."""

    reader: Reader
    gone: frozenset[int]

    def read(self, key: int, limit: int | None = None) -> object:
        """Read what is still there."""
        if key in self.gone:
            raise UnreadableImage("cannot be opened: No such file or directory")
        return self.reader.read(key, limit)


@dataclass(frozen=True)
class SlowReader:
    """Takes its time."""

    reader: Reader
    seconds: float

    def read(self, key: int, limit: int | None = None) -> object:
        """Read after a while."""
        time.sleep(self.seconds)
        return self.reader.read(key, limit)


class Unloadable:
    """Cannot be made again where it arrives."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _refuse, ("not in this process",)


def _refuse(why: str) -> None:
    raise ImportError(why)
