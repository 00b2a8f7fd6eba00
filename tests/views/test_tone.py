"""Contrast along principal axes beside numpy's, tone beside the standard library's HSV."""

import colorsys

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from lookalike.views.tone import change_tone, stretch_principal


@pytest.fixture
def images():
    """(6, 3, 9, 9), a grey, a black, a white and a flat picture among them."""
    images = torch.rand(6, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    images[1] = images[1, :1]
    images[2], images[3] = 0, 1
    images[4] = torch.tensor([0.2, 0.5, 0.9])[:, None, None]
    return images


def test_factors_of_one_leave_pictures_as_they_are(images):
    assert_close(stretch_principal(images, torch.ones(6, 3)), images, rtol=0, atol=1e-6)


def test_the_principal_axes_are_those_of_the_covariance(images):
    """What a factor does to an axis is seen in the covariance: its eigenvalue grows by its square.

    The picture is one of little contrast around mid grey, so that nothing is clamped.
    """
    quiet = 0.5 + 0.2 * (images[:1] - 0.5)
    factors = torch.tensor([[0.5, 1.5, 2.0]])
    pixels = [
        each[0].flatten(1).double().numpy() for each in (quiet, stretch_principal(quiet, factors))
    ]
    before, after = (np.linalg.eigh(np.cov(each)) for each in pixels)
    np.testing.assert_allclose(
        after.eigenvalues, before.eigenvalues * factors[0].numpy() ** 2, rtol=1e-4
    )
    aligned = np.abs((before.eigenvectors * after.eigenvectors).sum(0))
    np.testing.assert_allclose(aligned, 1, rtol=1e-4)
    np.testing.assert_allclose(pixels[1].mean(1), pixels[0].mean(1), atol=1e-6)


def test_a_flat_picture_has_nothing_to_stretch(images):
    stretched = stretch_principal(images[2:5], torch.full((3, 3), 2.0))
    assert_close(stretched, images[2:5], rtol=0, atol=1e-6)


def test_a_grey_picture_stays_grey(images):
    grey = images[1:2]
    stretched = stretch_principal(grey, torch.tensor([[0.5, 1.2, 2.0]]))
    assert_close(stretched, stretched[:, :1].expand_as(stretched), rtol=0, atol=1e-5)
    powers, factors = torch.tensor([[0.3, 2.0]]), torch.tensor([[1.4, 0.8]])
    toned = change_tone(grey, powers, factors, torch.tensor([[0.1, 0.1]]))
    assert torch.equal(toned, toned[:, :1].expand_as(toned))


def test_a_neutral_tone_leaves_pictures_as_they_are(images):
    one, none = torch.ones(6, 2), torch.zeros(6, 2)
    assert_close(change_tone(images, one, one, none), images, rtol=0, atol=1e-6)


def test_tone_is_that_of_hsv(images):
    generator = torch.Generator().manual_seed(1)
    power = 4 ** (2 * torch.rand(6, 2, generator=generator) - 1)
    factor = 0.7 + 0.7 * torch.rand(6, 2, generator=generator)
    shift = 0.2 * torch.rand(6, 2, generator=generator) - 0.1
    expected = torch.zeros_like(images)
    for number, image in enumerate(images):
        for row in range(9):
            for column in range(9):
                hue, *both = colorsys.rgb_to_hsv(*image[:, row, column].tolist())
                changed = [
                    min(
                        max(
                            v ** power[number, i].item() * factor[number, i].item()
                            + shift[number, i].item(),
                            0,
                        ),
                        1,
                    )
                    for i, v in enumerate(both)
                ]
                if both[0] == 0:  # grey has no hue to become more of
                    changed[0] = 0
                expected[number, :, row, column] = torch.tensor(colorsys.hsv_to_rgb(hue, *changed))
    assert_close(change_tone(images, power, factor, shift), expected, rtol=0, atol=1e-5)
