"""Whether an encoder written for elsewhere still says what the original says, on real images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.data.decode import Pixels, UnreadableImage, decode, shrink
from lookalike.data.image_set import ImageSet
from lookalike.data.order import epoch_order
from lookalike.inference import Encoder

Compute: TypeAlias = Callable[[Pixels], npt.NDArray[np.float32]]
"""An encoder elsewhere: (B, H, W, 3) uint8 RGB in, (B, dim) vectors out."""

BATCHES = (1, 3, 8)
LEAST_COSINE = 0.9999
_SHORTER = 512  # pixels of a shorter side that are enough to compare


class Agreement(NamedTuple):
    """How near two encoders are.

    images: name of the source that they were asked about.
    pictures: how many of its images.
    cosine: the least between what both made of an image, alone or in a batch.
    """

    images: str
    pictures: int
    cosine: float

    @property
    def holds(self) -> bool:
        """Whether they are one encoder."""
        return self.cosine >= LEAST_COSINE

    def __str__(self) -> str:
        sizes = ", ".join(map(str, BATCHES[:-1]))
        return (
            f"{self.pictures} images of {self.images} in batches of {sizes} and {BATCHES[-1]}: "
            f"least cosine {self.cosine:.7f}"
        )


def draw_pictures(images: ImageSet) -> list[Pixels]:
    """Return up to eight (H, W, 3) images of a set, drawn with seed 0 from those that can be read.

    Large ones come smaller, their proportions kept.
    """
    pictures: list[Pixels] = []
    for position in epoch_order(len(images), seed=0, epoch=0):
        try:
            pictures.append(shrink(decode(images.read(int(position))), _SHORTER))
        except UnreadableImage:  # training and `check` list them
            continue
        if len(pictures) == max(BATCHES):
            break
    return pictures


def compare(encoder: Encoder, compute: Compute, pictures: Sequence[Pixels]) -> float:
    """Return the least cosine between what an encoder and its copy elsewhere make of pictures.

    Args:
        encoder: the original, settled.
        compute: the copy.
        pictures: (H, W, 3) uint8, of any sizes; one at least.

    Returns:
        in [-1, 1]; -1 where the copy gives another shape, or what is not finite.
    """
    least = 1.0
    for batch in _batches(pictures):
        wanted, got = encoder.encode(batch).astype(np.float64), np.asarray(compute(batch))
        if got.shape != wanted.shape or not np.isfinite(got).all():
            return -1.0
        lengths = np.linalg.norm(wanted, axis=1) * np.linalg.norm(got, axis=1)
        both_zero = ~wanted.any(axis=1) & ~got.any(axis=1)
        cosines = (wanted * got).sum(1) / np.where(lengths > 0, lengths, 1)
        least = min(least, float(np.where(both_zero, 1.0, cosines).min()))
    return least


def _batches(pictures: Sequence[Pixels]) -> Iterator[Pixels]:
    """Yield pictures as (B, H, W, 3): each as it is, then the middles of some, cut to one size."""
    yield from (picture[None] for picture in pictures)
    for count in BATCHES[1:]:
        together = [pictures[number % len(pictures)] for number in range(count)]
        height, width = np.min([picture.shape[:2] for picture in together], axis=0)
        yield np.stack([_middle(picture, height, width) for picture in together])


def _middle(picture: Pixels, height: int, width: int) -> Pixels:
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]
