"""Altered copies of images, as they come about when images are passed on: what duplicates are."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from lookalike.data.decode import MAX_PIXELS, Pixels, UnreadableImage, decode
from lookalike.data.image_set import ImageSet

KINDS = ("re-encoded", "resized", "cropped", "brightened")


def alter(image: Pixels, kind: str, random: np.random.Generator) -> Pixels:
    """Return a copy of an image as somebody else might have kept it.

    Re-encoded as JPEG of quality 40 to 90, and nothing else; or at 90, and before that resized to
    between half and 1.5 times its sides, cropped by 2 to 8 % of each side, or made darker or
    brighter by up to a quarter.

    Args:
        image: (H, W, 3).
        kind: one of `KINDS`.
        random: draws the strength.
    """
    picture = Image.fromarray(image)
    width, height = picture.size
    quality = 90
    if kind == "re-encoded":
        quality = int(random.integers(40, 91))
    elif kind == "resized":
        scale = random.uniform(0.5, 1.5)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    elif kind == "cropped":
        kept = 1 - random.uniform(0.02, 0.08)
        left, top = (random.uniform(0, (1 - kept) * side) for side in (width, height))
        box = (left, top, left + kept * width, top + kept * height)
        whole = tuple(round(edge) for edge in box)
        if whole[2] > whole[0] and whole[3] > whole[1]:
            picture = picture.crop((whole[0], whole[1], whole[2], whole[3]))
    elif kind == "brightened":
        picture = ImageEnhance.Brightness(picture).enhance(random.uniform(0.75, 1.25))
    else:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return decode(file.getvalue())


def altered_copies(
    images: ImageSet,
    positions: npt.NDArray[np.int64],
    *,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> list[Pixels]:
    """Return an altered copy of each of these images, the kinds in turn.

    An image that cannot be read any more has none, and is left out.

    Args:
        images: the set.
        positions: (n,) which of them; one may come several times.
        seed: of every strength.
        max_pixels: larger images count as unreadable.
    """
    copies = []
    for place, position in enumerate(positions.tolist()):
        try:
            image = decode(images.read(position), max_pixels=max_pixels)
        except UnreadableImage:
            continue
        random = np.random.default_rng((seed, place, position))
        copies.append(alter(image, KINDS[place % len(KINDS)], random))
    return copies
