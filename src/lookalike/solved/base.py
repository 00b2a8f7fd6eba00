"""What every solved encoder is: sums over images, then one closed form, part after part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from lookalike.backbones.base import Backbone
from lookalike.views.plans import SOLVED, Plan


class Block(NamedTuple):
    """Some images, as they come.

    pictures: (B, 3, S, S) float32 in [0, 1]: what the encoder will see of them.
    index: (B,) int64, each image's position in the source.
    place: (B,) int64, each image's number among those that were drawn, from 0.
    labels: (B,) int64, -1 where unknown.
    views: one (B, 3, S, S) float32 in [0, 1] a view, where views were asked for.
    """

    pictures: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which a block has no use for
    place: Tensor
    labels: Tensor
    views: tuple[Tensor, ...] = ()


class Pictures(Protocol):
    """Images as a solved encoder meets them: in blocks, this process's share of them.

    count: images in all, over all processes.
    size: S, side of a picture in pixels.
    classes: how many classes are named.
    seed: of every draw.
    device: where blocks lie.
    pairs: (P, 2) int64 positions of images that are alike; None where no table lists any.
    """

    count: int
    size: int
    classes: int
    seed: int
    device: torch.device
    pairs: Tensor | None

    def blocks(
        self,
        title: str,
        *,
        most: int | None = None,
        only: Tensor | None = None,
        plan: Plan | None = None,
    ) -> Iterator[Block]:
        """Yield this process's blocks, the same whatever the number of processes.

        Args:
            title: what is done with them, for whoever watches.
            most: images at the most, drawn with the seed; none: all.
            only: (M,) int64 positions of the images wanted, in this order; none: any.
            plan: the views to make of them; none: no views.
        """

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes of each one's tensor."""

    def part(self, name: str, solve: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return what `solve` returns, from disk if an earlier process came so far."""


class Solution(NamedTuple):
    """A backbone that was solved for, and how to build it again.

    backbone: the encoder.
    name: for `build_backbone`.
    arguments: likewise.
    """

    backbone: Backbone
    name: str
    arguments: dict[str, Any]


class Solved(ABC):
    """An encoder in closed form.

    It descends no gradient: it reads images a few times over, keeps sums whose size does not depend
    on how many they are, and solves. The sums of several processes add up to those of one.
    """

    views: ClassVar[Plan] = SOLVED
    """The views that say what is alike, where views do."""

    needs_labels: ClassVar[bool] = False
    """Whether labels say what is alike: images without one are then left out."""

    sampling: ClassVar[Literal["shuffled"]] = "shuffled"
    """How images are drawn: as they come."""

    takes_pairs: ClassVar[bool] = False
    """Whether a table of pairs says what is alike."""

    @classmethod
    def fit(cls, images: int, side: int, size: int) -> Mapping[str, tuple[object, str]]:
        """Return the arguments that only the data can tell, each with its reason.

        Args:
            images: how many there are.
            side: their usual shorter side in pixels.
            size: side of a picture in pixels.
        """
        return {}

    @abstractmethod
    def solve(self, pictures: Pictures, start: Solution | None = None) -> Solution:
        """Return the encoder of these images.

        Args:
            pictures: the images; read as often as it takes.
            start: an encoder whose vectors are the features to begin from.

        Raises:
            DataError: the images tell nothing, for they all look alike.
        """
