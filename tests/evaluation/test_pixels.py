"""Raw pixels against Pillow's own shrinking."""

import numpy as np
import torch
from PIL import Image

from lookalike.evaluation.pixels import raw_pixels


def test_large_pictures_are_shrunk_to_32_and_lose_their_mean():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (6, 6, 3)).astype(np.uint8)
    picture = Image.fromarray(coarse).resize((80, 80), Image.Resampling.BICUBIC)
    small = np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC)).transpose(2, 0, 1) / 255
    squares = torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy())[None]
    expected = small.reshape(1, -1) - small.mean()
    np.testing.assert_allclose(raw_pixels(squares).numpy(), expected, atol=1.5 / 255)


def test_small_pictures_stay_as_they_are():
    squares = torch.randint(0, 256, (2, 3, 5, 5), generator=torch.Generator().manual_seed(0))
    vectors = raw_pixels(squares.to(torch.uint8))
    expected = squares.flatten(1) / 255
    np.testing.assert_allclose(vectors, expected - expected.mean(1, keepdim=True), atol=1e-6)
    assert vectors.shape == (2, 75)
