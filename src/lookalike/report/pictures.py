"""Pictures inside the page: one sheet of thumbnails, the plane of two principal axes, the views."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

LARGEST_SHEET = 4096  # pixels a side that every browser decodes
SHEET_BYTES = 5_400_000  # of JPEG: 7.2 MB as base64, so that the page stays under 10 MB
VIEWS_BYTES = 900_000
VIEWS_SETTINGS = ((2000, 88), (2000, 60), (1400, 60), (1000, 40))  # width, JPEG quality
# side, JPEG quality: the first that fits is taken
SHEET_SETTINGS = ((64, 84), (64, 72), (48, 80), (48, 60), (32, 84), (32, 60), (32, 40))
SMALLEST = 32


@dataclass(frozen=True)
class Sheet:
    """Thumbnails in reading order on one image.

    Args:
        data: the image as a data URI.
        columns: thumbnails in a row, at least 2.
        rows: rows, at least 2.
        side: pixels of a thumbnail.
    """

    data: str
    columns: int
    rows: int
    side: int


def thumbnail_sheet(
    thumbs: npt.NDArray[np.uint8],
    *,
    budget: int = SHEET_BYTES,
    settings: Sequence[tuple[int, int]] = SHEET_SETTINGS,
) -> Sheet:
    """Lay (N, side, side, 3) thumbnails on one JPEG of at most `budget` bytes.

    The first of the settings, (side, JPEG quality) with sides that descend, that fits is taken.

    Raises:
        ValueError: they do not fit, even small and coarse.
    """
    columns = max(2, math.ceil(math.sqrt(len(thumbs))))
    rows = max(2, math.ceil(len(thumbs) / columns))  # 2 at least: CSS divides by rows - 1
    for side, quality in settings:
        if side * columns > LARGEST_SHEET or (side > thumbs.shape[1] and side > settings[-1][0]):
            continue
        sheet = np.full((rows * columns, side, side, 3), 128, np.uint8)
        sheet[: len(thumbs)] = _resize(thumbs, side)
        tiles = sheet.reshape(rows, columns, side, side, 3).swapaxes(1, 2)
        encoded = _jpeg(Image.fromarray(tiles.reshape(rows * side, columns * side, 3)), quality)
        if len(encoded) <= budget:
            return Sheet(_data_uri("jpeg", encoded), columns, rows, side)
    raise ValueError(f"{len(thumbs)} thumbnails do not fit into {budget} bytes")


def _resize(thumbs: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    if thumbs.shape[1] == side:
        return thumbs
    box = (side, side)
    return np.stack(
        [np.asarray(Image.fromarray(t).resize(box, Image.Resampling.LANCZOS)) for t in thumbs]
    )


@dataclass(frozen=True)
class Plane:
    """Images laid out on the two directions in which they differ most.

    Args:
        points: (N, 2) float64; one scale for both axes, the farthest coordinate at 1 or -1.
        share: of the variance that the two directions hold, in [0, 1].
    """

    points: npt.NDArray[np.float64]
    share: float


def principal_plane(vectors: npt.NDArray[np.float32]) -> Plane:
    """Project (N, D) vectors on their two principal axes, signs fixed so that runs can be compared.

    Raises:
        ValueError: there are fewer than 3 images, or 2 dimensions, or the images are all one point.
    """
    if len(vectors) < 3 or vectors.shape[1] < 2:
        raise ValueError("a map needs at least 3 images and 2 dimensions")
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred)  # ascending
    if variances[-1] <= 1e-12 * len(vectors):
        raise ValueError("all images have the same vector")
    plane = axes[:, [-1, -2]]  # (D, 2)
    plane *= np.sign(plane[np.abs(plane).argmax(axis=0), [0, 1]])
    points = centred @ plane
    share = float(variances[-2:].clip(0).sum() / variances.clip(0).sum())
    return Plane(points / np.abs(points).max(), share)


def dots_path(points: npt.NDArray[np.float64], chosen: Sequence[int]) -> str:
    """Return an SVG path that is a dot, when drawn with round caps, at each chosen (x, y)."""
    return "".join(f"M{points[i, 0]:.0f} {points[i, 1]:.0f}h0" for i in chosen)


def views_picture(path: Path) -> tuple[str, int, int]:
    """Return the picture of the views as (data URI, width, height), made small enough for the page.

    Raises:
        OSError: the file is missing or no picture.
    """
    with Image.open(path, formats=["PNG"]) as opened:
        picture = opened.convert("RGB")
    for width, quality in VIEWS_SETTINGS:
        if picture.width > width:
            height = max(1, round(picture.height * width / picture.width))
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        encoded = _jpeg(picture, quality)
        if len(encoded) <= VIEWS_BYTES:
            break
    return _data_uri("jpeg", encoded), picture.width, picture.height


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
