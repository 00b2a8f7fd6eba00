"""Altered copies of images, as they come about when images are passed on: what duplicates are."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from lookalike.data.decode import MAX_PIXELS, Pixels, UnreadableImage, decode
from lookalike.data.image_set import ImageSet

Kind = Literal[
    "re-encoded",
    "resized",
    "trimmed",
    "brightened",
    "recoloured",
    "stamped",
    "framed",
    "barred",
    "tilted",
    "cropped",
    "mirrored",
    "turned",
]

KINDS: tuple[Kind, ...] = get_args(Kind)
PLAIN = KINDS[:4]
"""Those that leave a picture where it is and as it is: whoever looks for copies means them."""
Searched = Literal["recoloured", "stamped", "framed", "tilted", "cropped", "mirrored", "turned"]
SEARCHED: tuple[Searched, ...] = get_args(Searched)
"""Those that a search may leave out; bars on two sides count as a frame."""

Box = tuple[int, int, int, int]


def alter(image: Pixels, kind: str, random: np.random.Generator) -> Pixels:
    """Return a copy of an image as somebody else might have kept it.

    Re-encoded as JPEG of quality 40 to 90, and nothing else; or at 90, and before that: resized to
    between half and 1.5 times its sides; trimmed by 2 to 8 % of each side; made darker or brighter
    by up to a quarter; recoloured (grey, or other in saturation and balance); stamped with a line
    of text; framed on four sides in one colour, or barred on two as a screenshot is; tilted by 1 to
    5 degrees; cropped, down to half its area; mirrored; or turned by 90, 180 or 270 degrees.

    Args:
        image: (H, W, 3).
        kind: one of `KINDS`.
        random: draws the strength.
    """
    makers = {
        "re-encoded": _same,
        "resized": _resized,
        "trimmed": _trimmed,
        "brightened": _brightened,
        "recoloured": _recoloured,
        "stamped": _stamped,
        "framed": _framed,
        "barred": _barred,
        "tilted": _tilted,
        "cropped": _cropped,
        "mirrored": _mirrored,
        "turned": _turned,
    }
    if kind not in makers:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    quality = int(random.integers(40, 91)) if kind == "re-encoded" else 90
    file = io.BytesIO()
    makers[kind](Image.fromarray(image), random).save(file, "JPEG", quality=quality)
    return decode(file.getvalue())


def altered_copies(
    images: ImageSet,
    positions: npt.NDArray[np.int64],
    kinds: Sequence[str] = KINDS,
    *,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> list[Pixels]:
    """Return an altered copy of each of these images, the kinds in turn.

    An image that cannot be read any more has none, and is left out.

    Args:
        images: the set.
        positions: (n,) which of them; one may come several times.
        kinds: which kinds, some of `KINDS`.
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
        copies.append(alter(image, kinds[place % len(kinds)], random))
    return copies


def _same(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    return picture


def _resized(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    scale = random.uniform(0.5, 1.5)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def _trimmed(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    return _part(picture, 1 - random.uniform(0.02, 0.08), random)


def _cropped(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    return _part(picture, math.sqrt(random.uniform(0.5, 0.8)), random)


def _part(picture: Image.Image, kept: float, random: np.random.Generator) -> Image.Image:
    """Return a part that keeps this share of either side, from anywhere."""
    width, height = picture.size
    left, top = (random.uniform(0, (1 - kept) * side) for side in (width, height))
    edges = (left, top, left + kept * width, top + kept * height)
    box: Box = (round(edges[0]), round(edges[1]), round(edges[2]), round(edges[3]))
    return picture.crop(box) if box[2] > box[0] and box[3] > box[1] else picture


def _brightened(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(random.uniform(0.75, 1.25))


def _recoloured(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    if random.uniform() < 1 / 3:
        return picture.convert("L").convert("RGB")
    tinted = ImageEnhance.Color(picture).enhance(random.uniform(0.2, 2.0))
    factors = random.uniform(0.75, 1.25, 3)
    bands = [
        band.point([min(255, round(value * factor)) for value in range(256)])
        for band, factor in zip(tinted.split(), factors.tolist(), strict=True)
    ]
    return Image.merge("RGB", bands)


def _stamped(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    width, height = picture.size
    font = ImageFont.load_default(max(6.0, 0.09 * height))
    stamped = picture.copy()
    where = (random.uniform(0, 0.3) * width, random.uniform(0.05, 0.8) * height)
    light = 255 * int(random.integers(2))
    ImageDraw.Draw(stamped).text(where, "SAMPLE 2019", fill=(light, light, light), font=font)
    return stamped


def _framed(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    across, down = (max(1, round(random.uniform(0.03, 0.12) * side)) for side in picture.size)
    return _on_plain(picture, across, down, random)


def _barred(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    across, down = (round(random.uniform(0.05, 0.25) * side) for side in picture.size)
    upright = bool(random.integers(2))
    return _on_plain(picture, 0 if upright else across, down if upright else 0, random)


def _on_plain(
    picture: Image.Image, across: int, down: int, random: np.random.Generator
) -> Image.Image:
    width, height = picture.size
    colour = ((0, 0, 0), (255, 255, 255), (30, 60, 120))[int(random.integers(3))]
    whole = Image.new("RGB", (width + 2 * across, height + 2 * down), colour)
    whole.paste(picture, (across, down))
    return whole


def _tilted(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    angle = random.uniform(1, 5) * (1, -1)[int(random.integers(2))]
    return picture.rotate(angle, Image.Resampling.BICUBIC)


def _mirrored(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _turned(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    return picture.transpose(turns[int(random.integers(3))])
