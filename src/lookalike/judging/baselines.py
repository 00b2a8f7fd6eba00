"""What an encoder is measured beside: pixels, their edges and colours, and its own beginnings."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lookalike.data.decode import MAX_PIXELS
from lookalike.data.image_set import ImageSet
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.embeddings import Embeddings
from lookalike.errors import DataError
from lookalike.evaluation.hog import hog_with_colours
from lookalike.evaluation.pixels import raw_pixels
from lookalike.evaluation.principal import Axes, principal_axes
from lookalike.inference import Encoder, squares_in_parts

ENCODER = "encoder"  # the way that is measured; all others are baselines
RAW_PIXELS = "raw_pixels"
PCA_PIXELS = "pca_pixels"  # of the raw pixels, fitted on the images that vote
HOG = "hog"
UNTRAINED, STARTING = "untrained", "starting"
COMPONENTS = 128  # of the pixels
LAYER = "layer: "  # before a layer's name, among the ways to turn pictures into vectors

Describe = Callable[[Tensor], Tensor]
"""(N, 3, size, size) uint8 pictures -> (N, D) float32 vectors."""

Stages = Callable[[Tensor], Mapping[str, Tensor]]
"""(N, 3, size, size) uint8 pictures -> (N, D) float32 vectors after each layer, by its name."""


@dataclass(frozen=True)
class Represent:
    """What a network makes of pictures.

    Args:
        network: the encoder.
        batch_size: pictures at a time.
    """

    network: Encoder
    batch_size: int

    def __call__(self, squares: Tensor) -> Tensor:
        """Return (N, D) float32 vectors of (N, 3, size, size) uint8 pictures."""
        return self.network.represent(squares, batch_size=self.batch_size)


def list_ways(
    encoder: Encoder, *, starting: Encoder | None = None, seed: int, batch_size: int
) -> dict[str, Describe]:
    """Return the encoder and its baselines, by name; all see pictures of the encoder's size.

    Args:
        encoder: what is measured.
        starting: the encoder that its training started from, if any.
        seed: of the untrained network's weights.
        batch_size: pictures at a time.
    """
    ways: dict[str, Describe] = {
        ENCODER: Represent(encoder, batch_size),
        RAW_PIXELS: raw_pixels,
        HOG: hog_with_colours,
        UNTRAINED: Represent(_untrained(encoder, seed=seed), batch_size),
    }
    if starting is not None:
        starting = copy.copy(starting)
        starting.size = encoder.size
        ways[STARTING] = Represent(starting, batch_size)
    elif encoder.arguments.get("pretrained"):
        again = encoder.restarted(seed=seed, pretrained=True)
        ways[STARTING] = Represent(again, batch_size)
    return ways


def _untrained(encoder: Encoder, *, seed: int) -> Encoder:
    """Return the encoder's network with random weights and all its branches switched on.

    Residual branches may start at zero so that training starts smoothly. A network without them
    would be a baseline too easy to beat.
    """
    network = encoder.restarted(seed=seed, pretrained=False)
    for part in network.backbone.modules():
        if isinstance(part, _NormBase) and part.affine and not bool(part.weight.any()):
            nn.init.ones_(part.weight)
    return network


def pixel_axes(pixels: Embeddings, *, seed: int) -> Axes:
    """Return the principal axes of raw pixels, 128 of them.

    Args:
        pixels: the raw pixels of the images that the axes are fitted on.
        seed: of the fit.
    """
    return principal_axes(torch.from_numpy(pixels.vectors), count=COMPONENTS, seed=seed)


def principal_pixels(squares: Tensor, *, axes: Axes) -> Tensor:
    """Return the components along some axes of the raw pixels of (N, 3, size, size) pictures."""
    return axes.project(raw_pixels(squares))


def project(embeddings: Embeddings, axes: Axes) -> Embeddings:
    """Return embeddings whose vectors are the components along some axes."""
    components = axes.project(torch.from_numpy(embeddings.vectors)).numpy()
    return replace(embeddings, vectors=components)


def describe_images(
    images: ImageSet,
    *,
    ways: Mapping[str, Describe],
    stages: Stages | None = None,
    size: int,
    max_pixels: int = MAX_PIXELS,
    quarantine: Quarantine,
    progress: Progress | None = None,
) -> tuple[ImageSet, dict[str, Embeddings]]:
    """Return the images that can be read, and their vectors by way, then by layer.

    Each image is decoded once. The names of layers get `LAYER` before them.

    Args:
        images: what to describe.
        ways: what turns pictures into vectors.
        stages: what pictures are after each layer.
        size: side of a picture in pixels.
        max_pixels: larger images count as unreadable.
        quarantine: takes note of what cannot be read.
        progress: told after each image.

    Raises:
        DataError: no image can be read.
    """
    vectors: dict[str, list[Tensor]] = {way: [] for way in ways}
    rows = []
    for squares, positions in squares_in_parts(
        images, size, max_pixels=max_pixels, quarantine=quarantine, progress=progress
    ):
        for way, describe in ways.items():
            vectors[way].append(describe(squares))
        for name, after in (stages(squares) if stages else {}).items():
            vectors.setdefault(LAYER + name, []).append(after)
        rows.append(positions)
    kept = images.select(np.concatenate(rows))
    if not len(kept):
        raise DataError(f"none of the {len(images):,} images of {images.name} can be read")
    return kept, {
        way: Embeddings(torch.cat(parts).numpy(), kept.ids, kept.labels, kept.class_names)
        for way, parts in vectors.items()
    }
