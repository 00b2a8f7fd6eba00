"""Faces in one place: each picture turned, scaled and moved so that five landmarks fit a template.

The map is the least-squares similarity transform: Umeyama 1991, IEEE PAMI 13, 376, equations 40-43,
without reflection. In the plane, with points as complex numbers less their mean, it is
a = sum(conj(s) t) / sum(|s|^2), whose length is the scale and whose angle the rotation.

Points are (x, y) in pixels of the upright picture, from its top left corner, so that the middle of
the first pixel is at (0.5, 0.5). Their order: the eye on the left of the picture, the one on the
right, the tip of the nose, the corner of the mouth on the left, the one on the right.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike import _check
from lookalike.data.decode import MAX_PIXELS, Pixels, UnreadableImage, decode
from lookalike.data.folders import read_file
from lookalike.data.image_set import ImageSet, Unreadable
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.threads import map_in_order
from lookalike.data.tree import as_unicode
from lookalike.errors import DataError, UsageError

POINTS = 5

TEMPLATE = ((0.345, 0.46), (0.655, 0.46), (0.5, 0.64), (0.375, 0.82), (0.625, 0.82))
"""Where the landmarks go, in sides of the picture: a face that fills it, level and centred.

Eyes 31 % of the side apart and a little above the middle, the nose half-way from them to the mouth,
which is 25 % wide: round numbers near the mean proportions of frontal faces.
"""

MAX_SCALE = 100.0  # more is no face, but landmarks that are wrong
MAX_LANDMARK_BYTES = 2**26

Points = npt.NDArray[np.float64]
Find = Callable[[Pixels], npt.ArrayLike | None]
"""(H, W, 3) picture -> (5, 2) landmarks of its largest face, or None if it has none."""


@dataclass(frozen=True)
class Aligned:
    """What became of the images of a set.

    Args:
        written: ids of those that were aligned.
        left_out: all others, and why.
        unused: landmarks of images that are not in the set.
    """

    written: tuple[str, ...]
    left_out: tuple[Unreadable, ...]
    unused: tuple[str, ...]


def similarity_transform(source: npt.ArrayLike, target: npt.ArrayLike) -> Points:
    """Return the rotation, scale and shift that take points closest to others.

    Args:
        source: (K, 2), K >= 2.
        target: (K, 2), where they should go.

    Returns:
        (2, 3) matrix M, which minimises the sum over points of |M [x, y, 1] - target|^2.

    Raises:
        ValueError: shapes differ, a number is not finite, or all points of `source` are one.
    """
    given, wanted = (np.asarray(points, dtype=np.float64) for points in (source, target))
    _check.same_matrix(source=given, target=wanted)
    if given.shape[1] != 2 or not (np.isfinite(given).all() and np.isfinite(wanted).all()):
        raise ValueError(f"source and target must be finite points (K, 2), got {given.shape}")
    s, t = (points[:, 0] + 1j * points[:, 1] for points in (given, wanted))
    centred = s - s.mean()
    spread = float((centred * centred.conj()).real.sum())
    if spread <= 1e-12 * max(1.0, float(np.abs(s).max()) ** 2):
        raise ValueError("source must hold points that differ, got one point several times")
    a = (centred.conj() * (t - t.mean())).sum() / spread
    shift = t.mean() - a * s.mean()
    return np.array([[a.real, -a.imag, shift.real], [a.imag, a.real, shift.imag]])


def align_face(
    picture: Pixels,
    landmarks: npt.ArrayLike,
    *,
    size: int = 112,
    interpolation: Literal["bilinear", "bicubic"] = "bicubic",
) -> Pixels:
    """Return a picture with its landmarks where the template has them, black beyond its edges.

    Where that shrinks it, it is antialiased.

    Args:
        picture: (H, W, 3).
        landmarks: (5, 2), as above.
        size: side of the result in pixels.
        interpolation: between pixels.

    Returns:
        (size, size, 3).

    Raises:
        ValueError: landmarks are not five different finite points, or make the face vanish or grow
            beyond all measure.
    """
    _check.at_least(1, size=size)
    _check.one_of(_FILTERS, interpolation=interpolation)
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != (POINTS, 2):
        raise ValueError(f"landmarks must be {POINTS} points (5, 2), got shape {points.shape}")
    matrix = similarity_transform(points, size * np.array(TEMPLATE))
    scale = math.hypot(*matrix[:, 0])
    if not 1 / MAX_SCALE <= scale <= MAX_SCALE:
        raise ValueError(f"landmarks want a scale of {scale:.3g}, which no face has")
    # From the result to the picture; a hair beside a pixel would cost Pillow a level of grey.
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2].round(9)
    image = Image.fromarray(picture)
    if scale < 1 - 1e-6:  # a hair less is rounding
        image, back = _shrink(image, back, scale, size)
    resampling = _FILTERS[interpolation]
    return np.array(
        image.transform((size, size), Image.Transform.AFFINE, tuple(back.ravel()), resampling)
    )


_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def _shrink(
    image: Image.Image, back: Points, scale: float, size: int
) -> tuple[Image.Image, Points]:
    """Return the part of an image that the result shows, made smaller, and the map into it.

    Pillow's affine transform looks at a few pixels around each place, whatever the scale, so the
    part is brought to the scale of the result before.
    """
    corners = back @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    margin = 3 / scale  # what interpolation looks at beyond the corners
    limits = np.array(image.size)
    low = np.clip(np.floor(corners.min(axis=1) - margin), 0, limits - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=1) + margin), low + 1, limits).astype(int)
    wanted = np.maximum(np.round((high - low) * scale), 1).astype(int)
    box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    small = image.resize((int(wanted[0]), int(wanted[1])), Image.Resampling.BICUBIC, box=box)
    ratio = wanted / (high - low)  # close to scale, but whole pixels are
    moved = back.copy()
    moved[:, 2] -= low
    return small, moved * ratio[:, None]


def align_images(
    images: ImageSet,
    landmarks: Mapping[str, npt.ArrayLike] | Find,
    folder: str | Path,
    *,
    size: int = 112,
    interpolation: Literal["bilinear", "bicubic"] = "bicubic",
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Aligned:
    """Write the aligned images of a set as PNG files, in folders as their ids have them.

    Beside them, `left-out.csv` lists every image that was not aligned, and why.

    Args:
        images: the set.
        landmarks: (5, 2) by id, or what finds them.
        folder: where to write; made if it is missing.
        size: side of the results in pixels.
        interpolation: between pixels.
        max_pixels: larger images count as unreadable.
        progress: told after each image.

    Raises:
        UsageError: the folder is not empty.
        OSError: it cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--out {folder} is not an empty folder\n  fix: name a new folder")
    folder.mkdir(parents=True, exist_ok=True)

    def align(position: int) -> Pixels | str:
        name = images.ids[position]
        try:
            if isinstance(landmarks, Mapping):
                if name not in landmarks:
                    return "no landmarks"
                found: npt.ArrayLike | None = landmarks[name]
                picture = decode(images.read(position), max_pixels=max_pixels)
            else:
                picture = decode(images.read(position), max_pixels=max_pixels)
                found = landmarks(picture)
            if found is None:
                return "no face was found"
            return align_face(picture, found, size=size, interpolation=interpolation)
        except UnreadableImage as problem:
            return problem.reason
        except ValueError as problem:
            return str(problem)

    left_out = Quarantine(len(images), images.ignored)
    written: list[str] = []
    taken: set[PurePosixPath] = set()
    threads = None if isinstance(landmarks, Mapping) else 1  # a network runs its own threads
    for position, made in enumerate(map_in_order(align, range(len(images)), threads=threads)):
        name = images.ids[position]
        place = _place(name)
        if isinstance(made, str):
            left_out.add(name, made)
        elif place is None:
            left_out.add(name, "its path leads out of the folder")
        elif place in taken:
            left_out.add(name, f"another image is already written as {place}")
        else:
            taken.add(place)
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(made).save(target, format="PNG")
            written.append(name)
        if progress is not None:
            progress(position + 1, len(images))
    left_out.write_csv(folder / "left-out.csv")
    listed = landmarks if isinstance(landmarks, Mapping) else {}
    known = frozenset(images.ids)
    unused = tuple(name for name in listed if name not in known)
    return Aligned(tuple(written), tuple(left_out), unused)


def _place(name: str) -> PurePosixPath | None:
    """Return where an aligned image goes in its folder, or None if that is not inside."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or not path.name:
        return None
    return path.with_suffix(".png")


def read_landmarks(path: str | Path) -> dict[str, Points]:
    """Return the landmarks that a table lists, (5, 2) by the id of the image.

    A `.csv` has a first row of names: `path`, and after it ten columns of x and y in turn, called
    as one likes. A `.json` is one object, from path to five [x, y].

    Raises:
        DataError: it cannot be read, or a row is not as it should be; the message says which.
    """
    path = Path(path)
    try:
        text = read_file(path, MAX_LANDMARK_BYTES + 1).decode("utf-8-sig", "surrogateescape")
        if len(text) > MAX_LANDMARK_BYTES:
            raise DataError(f"{path} is larger than {MAX_LANDMARK_BYTES >> 20} MiB")
        rows = _json_rows(text) if path.suffix.lower() == ".json" else _csv_rows(text)
    except UnreadableImage as problem:
        raise DataError(f"{path}: {problem}") from problem
    except (ValueError, RecursionError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read as landmarks: {problem}") from problem
    table: dict[str, Points] = {}
    for where, name, values in rows:
        try:
            points = np.array(values, dtype=np.float64).reshape(POINTS, 2)
        except (ValueError, TypeError):
            points = np.full((POINTS, 2), np.nan)
        if not np.isfinite(points).all():
            raise DataError(f"{path}, {where}: want ten numbers, x and y of five points")
        if name in table:
            raise DataError(f"{path}, {where}: {name!r} is listed a second time")
        table[name] = points
    if not table:
        raise DataError(f"{path} lists no landmarks")
    return table


_Row = tuple[str, str, Any]


def _csv_rows(text: str) -> list[_Row]:
    header, *rows = list(csv.reader(io.StringIO(text, newline=""))) or [[]]
    if header[:1] != ["path"] or len(header) != 1 + 2 * POINTS:
        raise ValueError(
            f"want a first row of path and ten columns of x and y in turn, got {header!r:.120}"
        )
    kept = [row for row in rows if row]
    return [
        (f"row {number}", as_unicode(row[0]), row[1:]) for number, row in enumerate(kept, start=1)
    ]


def _json_rows(text: str) -> list[_Row]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("want one object, from path to five [x, y]")
    return [(f"entry {name!r:.120}", name, values) for name, values in content.items()]
