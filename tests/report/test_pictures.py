"""Pictures: the sheet's places, the plane's axes."""

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lookalike.report.pictures import (
    dots_path,
    principal_plane,
    thumbnail_sheet,
    views_picture,
)

RNG = np.random.default_rng(0)


def opened(data: str) -> npt.NDArray[np.int64]:
    kind, _, content = data.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content)))).astype(np.int64)


@pytest.mark.parametrize("count", [1, 2, 5, 37])
def test_every_thumbnail_is_at_its_place_on_the_sheet(count: int) -> None:
    colours = RNG.integers(0, 256, (count, 1, 1, 3))
    thumbs = np.broadcast_to(colours, (count, 64, 64, 3)).astype(np.uint8)
    sheet = thumbnail_sheet(thumbs)
    picture = opened(sheet.data)
    side = sheet.side
    assert picture.shape == (sheet.rows * side, sheet.columns * side, 3)
    assert min(sheet.rows, sheet.columns) >= 2
    for position in range(count):
        row, column = divmod(position, sheet.columns)
        tile = picture[row * side : (row + 1) * side, column * side : (column + 1) * side]
        assert np.abs(tile - colours[position]).max() <= 6  # JPEG


def test_a_sheet_keeps_to_its_budget_by_growing_coarser() -> None:
    noise = RNG.integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    full = thumbnail_sheet(noise)
    small = thumbnail_sheet(noise, budget=len(full.data) // 4)
    assert len(base64.b64decode(small.data.partition(",")[2])) <= len(full.data) // 4
    assert small.side < full.side
    with pytest.raises(ValueError, match="40 thumbnails do not fit"):
        thumbnail_sheet(noise, budget=100)


def test_small_thumbnails_stay_small() -> None:
    assert thumbnail_sheet(np.zeros((4, 32, 32, 3), np.uint8)).side == 32
    assert thumbnail_sheet(np.zeros((4, 16, 16, 3), np.uint8)).side == 32


def test_the_plane_is_that_of_the_singular_value_decomposition() -> None:
    vectors = RNG.normal(size=(50, 6)).astype(np.float32) * [5, 4, 1, 1, 1, 1]
    plane = principal_plane(vectors.astype(np.float32))
    centred = vectors - vectors.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :2] * values[:2]
    expected /= np.abs(expected).max()
    np.testing.assert_allclose(np.abs(plane.points), np.abs(expected), atol=1e-5)
    assert plane.share == pytest.approx(float((values[:2] ** 2).sum() / (values**2).sum()))


def test_the_plane_does_not_depend_on_the_sign_that_the_solver_chose() -> None:
    vectors = RNG.normal(size=(20, 5)).astype(np.float32)
    order = RNG.permutation(20)
    np.testing.assert_allclose(
        principal_plane(vectors).points[order], principal_plane(vectors[order]).points, atol=1e-5
    )


@pytest.mark.parametrize("vectors", [np.ones((9, 4)), np.eye(2), np.ones((9, 1))])
def test_there_is_no_plane_without_two_directions(vectors: npt.NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="images"):
        principal_plane(vectors.astype(np.float32))


def test_dots_are_at_their_points() -> None:
    assert dots_path(np.array([[1.2, -3.4], [5, 6], [7, 8]]), [0, 2]) == "M1 -3h0M7 8h0"


def test_a_huge_picture_of_views_is_made_smaller(tmp_path: Path) -> None:
    noise = RNG.integers(0, 256, (900, 3000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "views.png")
    data, width, height = views_picture(tmp_path / "views.png")
    assert len(data) < 1_300_000
    assert opened(data).shape == (height, width, 3)
    assert width / height == pytest.approx(3000 / 900, rel=0.01)
