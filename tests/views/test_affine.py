"""The warp beside closed forms, and beside a slow loop over pixels."""

import math

import pytest
import torch
from torch.testing import assert_close

from lookalike.views.affine import warp


@pytest.fixture
def images():
    return torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def neutral(count):
    return {
        "shift": torch.zeros(count, 2),
        "scale": torch.ones(count),
        "angle": torch.zeros(count),
    }


def test_nothing_is_the_identity(images):
    assert_close(warp(images, **neutral(6)), images, rtol=0, atol=1e-5)


def test_a_shift_of_whole_pixels_moves_the_picture_and_mirrors_at_the_border(images):
    """Two pixels right and three down; what comes in is the picture behind its border."""
    shift = torch.tensor([[2 / 12, 3 / 12]]).repeat(6, 1)
    moved = warp(images, **{**neutral(6), "shift": shift})
    assert_close(moved[:, :, 3:, 2:], images[:, :, :-3, :-2], rtol=0, atol=1e-5)
    assert_close(moved[:, :, :3, 2:], images[:, :, :3, :-2].flip(2), rtol=0, atol=1e-5)
    assert_close(moved[:, :, 3:, :2], images[:, :, :-3, :2].flip(3), rtol=0, atol=1e-5)


def test_a_quarter_turn_is_clockwise(images):
    turned = warp(images, **{**neutral(6), "angle": torch.full((6,), math.pi / 2)})
    assert_close(turned, images.rot90(-1, dims=(2, 3)), rtol=0, atol=1e-5)


def test_twice_the_scale_shows_the_middle_half():
    """Of a ramp, so that what lies between pixels is known."""
    ramp = torch.arange(12.0).expand(1, 3, 12, 12)
    larger = warp(ramp, **{**neutral(1), "scale": torch.tensor([2.0])})
    expected = (torch.arange(12.0) - 5.5) / 2 + 5.5
    assert_close(larger, expected.expand(1, 3, 12, 12), rtol=0, atol=1e-5)


def slowly(image, shift, scale, angle):
    """One pixel at a time: where it comes from, and the four pixels around that place."""
    size = image.shape[-1]
    made = torch.zeros_like(image)

    def at(row, column):
        bounced = [(place % (2 * size)) for place in (row, column)]
        row, column = (2 * size - 1 - place if place >= size else place for place in bounced)
        return image[:, row, column]

    for row in range(size):
        for column in range(size):
            x = column - (size - 1) / 2 - shift[0] * size
            y = row - (size - 1) / 2 - shift[1] * size
            u = (math.cos(angle) * x + math.sin(angle) * y) / scale + (size - 1) / 2
            v = (math.cos(angle) * y - math.sin(angle) * x) / scale + (size - 1) / 2
            left, top = math.floor(u), math.floor(v)
            for r, c in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
                made[:, row, column] += (1 - abs(u - c)) * (1 - abs(v - r)) * at(r, c)
    return made


def test_each_picture_is_warped_by_its_own_amounts(images):
    generator = torch.Generator().manual_seed(1)
    shift = 0.4 * torch.rand(6, 2, generator=generator) - 0.2
    scale = 0.7 + 0.7 * torch.rand(6, generator=generator)
    angle = torch.linspace(-0.35, 0.35, 6)
    expected = torch.stack(
        [
            slowly(image, move.tolist(), grow.item(), turn.item())
            for image, move, grow, turn in zip(images, shift, scale, angle, strict=True)
        ]
    )
    assert_close(warp(images, shift, scale, angle), expected, rtol=0, atol=1e-4)


def test_a_mirror_adds_nothing_new(images):
    generator = torch.Generator().manual_seed(2)
    shift = torch.rand(6, 2, generator=generator) - 0.5
    warped = warp(images, shift, torch.full((6,), 0.3), torch.full((6,), 1.0))
    assert warped.min() >= images.min() - 1e-6
    assert warped.max() <= images.max() + 1e-6


def test_pictures_must_be_square():
    with pytest.raises(ValueError, match="images must be"):
        warp(torch.zeros(1, 3, 4, 5), **neutral(1))
