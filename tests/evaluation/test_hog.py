"""Oriented gradients and colours against slow loops and pictures whose answer is known."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.evaluation.hog import AT_A_TIME, colours, hog, hog_with_colours


def pictures(count: int, size: int, *, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), generator=generator).to(torch.uint8)


def slowly(picture: np.ndarray) -> np.ndarray:
    """Return the histograms of one (3, H, W) picture, pixel by pixel."""
    _, height, width = picture.shape
    cells = np.zeros((height // 8, width // 8, 9))
    for y in range(height // 8 * 8):
        for x in range(width // 8 * 8):
            gradients = []
            for channel in picture:
                down = channel[y + 1, x] - channel[y - 1, x] if 0 < y < height - 1 else 0.0
                across = channel[y, x + 1] - channel[y, x - 1] if 0 < x < width - 1 else 0.0
                gradients.append((math.hypot(down, across), down, across))
            length, down, across = max(gradients, key=lambda each: each[0])
            angle = math.degrees(math.atan2(down, across)) % 180
            cells[y // 8, x // 8, int(angle // 20) % 9] += length / 64
    blocks = []
    for row in range(len(cells) - 1):
        for column in range(cells.shape[1] - 1):
            block = cells[row : row + 2, column : column + 2].ravel()
            for clip in (0.2, np.inf):
                block = np.minimum(block / np.sqrt((block**2).sum() + 1e-10), clip)
            blocks.append(block)
    return np.concatenate(blocks)


@pytest.mark.parametrize("size", [16, 24, 37])
def test_gradients_are_counted_pixel_by_pixel(size):
    shown = pictures(2, size).double() / 255
    expected = np.stack([slowly(picture) for picture in shown.numpy()])
    np.testing.assert_allclose(hog(shown).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize(("turned", "direction"), [(False, 0), (True, 4)])
def test_a_slope_points_one_way(turned, direction):
    """Brightness that grows across has gradients of 0 degrees; that grows down, of 90."""
    slope = (torch.arange(32.0) / 31).expand(1, 3, 32, 32)
    shown = slope.transpose(2, 3) if turned else slope
    histograms = hog(shown.contiguous()).view(-1, 9)
    assert (histograms.argmax(dim=1) == direction).all()
    assert (histograms.sum(dim=1) == histograms.amax(dim=1)).all()


def test_a_turned_sign_is_the_same_edge():
    shown = pictures(3, 32).double() / 255
    np.testing.assert_allclose(hog(shown).numpy(), hog(1 - shown).numpy(), atol=1e-9)


def test_colours_are_shares_of_pixels():
    shown = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    shown[0, 0, :2] = 255  # half red, half black, one pixel of these green at 64 to 127
    shown[0, :, 3, 3] = torch.tensor([0, 64, 0])
    expected = np.zeros(64)
    expected[[48, 0, 4]] = np.sqrt([8 / 16, 7 / 16, 1 / 16])
    np.testing.assert_allclose(colours(shown)[0].numpy(), expected, atol=1e-7)


def test_both_halves_weigh_alike_and_large_pictures_are_shrunk():
    picture = Image.fromarray(pictures(1, 6)[0].permute(1, 2, 0).numpy())
    large = np.asarray(picture.resize((96, 96), Image.Resampling.BICUBIC))
    small = np.asarray(picture.resize((96, 96)).resize((48, 48), Image.Resampling.BICUBIC))
    shown, less = (
        torch.from_numpy(each.transpose(2, 0, 1).copy())[None] for each in (large, small)
    )
    vectors = hog_with_colours(shown)
    assert vectors.shape == (1, 5 * 5 * 36 + 64)
    shapes, shades = vectors[:, :-64], vectors[:, -64:]
    np.testing.assert_allclose([shapes.norm(), shades.norm()], 1, atol=1e-5)
    np.testing.assert_allclose(shades, colours(shown), atol=1e-6)
    assert float(shapes @ hog_with_colours(less)[:, :-64].T) > 0.99


@pytest.mark.parametrize("size", [1, 5, 15])
def test_tiny_pictures_are_enlarged(size):
    vectors = hog_with_colours(pictures(2, size))
    assert vectors.shape == (2, 36 + 64)
    assert vectors.isfinite().all()


def test_an_empty_picture_has_colours_alone():
    vectors = hog_with_colours(torch.full((1, 3, 32, 32), 7, dtype=torch.uint8))
    assert vectors.norm() == pytest.approx(1)
    assert vectors[0, -64] == 1


def test_pictures_do_not_see_each_other():
    shown = pictures(AT_A_TIME + 3, 16)
    together = hog_with_colours(shown)
    assert together[-1:].equal(hog_with_colours(shown[-1:]))
    assert hog_with_colours(shown[:0]).shape == (0, 100)


def test_a_side_too_short_for_a_block_is_refused():
    with pytest.raises(ValueError, match="height"):
        hog(torch.zeros(1, 3, 15, 20))
