"""Histograms of oriented gradients: the same numbers as scikit-image's, picture by picture."""

import numpy as np
import pytest
import torch
from skimage.feature import hog as theirs

from lookalike.evaluation.hog import hog


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 48), (16, 16), (43, 30)])
def test_the_numbers_are_scikit_images(height, width):
    """Of noise, of smooth slopes and of an empty picture, in sides that cells do not fill too."""
    random = np.random.default_rng(0)
    slopes = np.linspace(0, 1, height)[:, None, None] * np.linspace(0.2, 1, width)[:, None]
    pictures = np.stack(
        [
            random.random((height, width, 3)),
            slopes * random.random(3),
            np.zeros((height, width, 3)),
            (random.integers(0, 256, (height, width, 3)) / 255),
        ]
    )
    expected = [
        theirs(
            picture,
            orientations=9,
            pixels_per_cell=(8, 8),
            cells_per_block=(2, 2),
            block_norm="L2-Hys",
            channel_axis=-1,
        )
        for picture in pictures
    ]
    found = hog(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    np.testing.assert_allclose(
        found.numpy(), np.stack(expected), atol=1e-6
    )  # theirs adds up in float32
    single = hog(torch.from_numpy(pictures).permute(0, 3, 1, 2).float())
    np.testing.assert_allclose(single[[0, 3]].numpy(), np.stack(expected)[[0, 3]], atol=2e-4)
