"""Images that a program hands over by themselves: paths, PIL images, arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.data.decode import Pixels, UnreadableImage, centre_square, decode, upright_colours
from lookalike.errors import DataError, UsageError

Picture = str | Path | Image.Image | npt.NDArray[np.uint8]
"""A path, a PIL image, or (H, W) or (H, W, 3) pixels."""


def as_list(
    images: Picture | Sequence[Picture] | npt.NDArray[np.uint8],
) -> list[Picture]:
    """Return one image, or several, as a list of single ones."""
    if isinstance(images, str | Path | Image.Image):
        return [images]
    if isinstance(images, np.ndarray) and images.ndim in {2, 3}:
        return [images]
    return list(images)


def read_square(numbered: tuple[int, Picture], *, size: int) -> Pixels:
    """Return the (size, size, 3) picture of one item of a list, given with its place there.

    Raises:
        UsageError: there is no such file, or the item is no image at all.
        DataError: it cannot be read.
    """
    number, picture = numbered
    where = str(picture) if isinstance(picture, str | Path) else f"image {number}"
    try:
        if isinstance(picture, str | Path):
            return centre_square(decode(Path(picture).read_bytes(), at_least=size), size)
        if isinstance(picture, Image.Image):
            return centre_square(upright_colours(picture), size)
        if _is_pixels(picture):
            return centre_square(decode(picture), size)
    except FileNotFoundError as problem:
        raise UsageError(f"there is no {where}\n  fix: check the path") from problem
    except (UnreadableImage, OSError) as problem:
        raise DataError(f"{where} cannot be read: {problem}") from problem
    raise UsageError(
        f"{where} is a {type(picture).__name__}; want a path, PIL image or uint8 array"
    )


def _is_pixels(picture: object) -> bool:
    """Return whether this is a picture of pixels, (H, W) or (H, W, 3) uint8."""
    return (
        isinstance(picture, np.ndarray)
        and picture.dtype == np.uint8
        and (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3))
        and picture.size > 0
    )
