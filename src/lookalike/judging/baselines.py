"""What an encoder is measured beside: raw pixels, its network untrained, and what it began as."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lookalike.data.decode import MAX_PIXELS
from lookalike.data.image_set import ImageSet
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.embeddings import Embeddings
from lookalike.errors import DataError
from lookalike.evaluation.pixels import raw_pixels
from lookalike.inference import Encoder, squares_in_parts

ENCODER = "encoder"  # the way that is measured; all others are baselines
RAW_PIXELS = "raw_pixels"  # compared by neighbours alone: fitting thousands of pixels takes minutes
LAYER = "layer: "  # before a layer's name, among the ways to turn pictures into vectors

Describe = Callable[[Tensor], Tensor]
"""(N, 3, size, size) uint8 pictures -> (N, D) float32 vectors."""

Stages = Callable[[Tensor], Mapping[str, Tensor]]
"""(N, 3, size, size) uint8 pictures -> (N, D) float32 vectors after each layer, by its name."""


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

    def describe(network: Encoder) -> Describe:
        return lambda squares: network.represent(squares, batch_size=batch_size)

    ways = {
        ENCODER: describe(encoder),
        RAW_PIXELS: raw_pixels,
        "untrained": describe(_untrained(encoder, seed=seed)),
    }
    if starting is not None:
        starting = copy.copy(starting)
        starting.size = encoder.size
        ways["starting"] = describe(starting)
    elif encoder.arguments.get("pretrained"):
        ways["starting"] = describe(encoder.restarted(seed=seed, pretrained=True))
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
