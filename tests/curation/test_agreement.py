"""Copies agree in detail wherever they were cropped; what is alike in the large alone does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.curation.agreement import agreement
from lookalike.curation.looks import SIDE, grey_picture
from lookalike.data.decode import decode
from lookalike.data.sources import open_source


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Return a photo of a hand, (H, W, 3)."""
    return decode(open_source("hands/test").read(0))


def grey(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(grey_picture(image).copy())[None]


def correlation_of_details(first: np.ndarray, second: np.ndarray) -> float:
    """Return it pixel by pixel, for pictures that lie on each other already."""

    def details(picture: np.ndarray) -> list[float]:
        found = []
        for y in range(SIDE):
            for x in range(SIDE):
                around = picture[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
                if 0 < y < SIDE - 1 and 0 < x < SIDE - 1:  # the outermost pixels do not count
                    found.append(float(picture[y, x]) - float(around.mean()))
        return found

    return float(np.corrcoef(details(first), details(second))[0, 1])


def test_a_picture_agrees_with_itself_whatever_its_brightness(photo):
    one = grey(photo)
    assert agreement(one, one).item() == pytest.approx(1, abs=1e-4)
    darker = (one.float() * 0.6 + 20).round().to(torch.uint8)
    assert agreement(one, darker).item() > 0.98
    assert agreement(darker, one).item() > 0.98


def test_is_the_correlation_of_details_where_nothing_has_moved(photo):
    one = grey(photo)
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 12, (1, SIDE, SIDE)))
    other = (one + noise).clamp(0, 255).round().to(torch.uint8)
    expected = correlation_of_details(one[0].double().numpy(), other[0].double().numpy())
    assert 0.2 < expected < 0.98
    assert agreement(one, other).item() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("box", [(0, 0, 61, 61), (3, 3, 64, 64), (2, 1, 63, 60), (0, 3, 62, 64)])
def test_a_crop_is_laid_back_on_its_photo(photo, box):
    small = Image.fromarray(photo).resize((64, 64))
    whole, part = grey(np.asarray(small)), grey(np.asarray(small.crop(box)))
    assert agreement(whole, part).item() > 0.9
    assert agreement(part, whole).item() > 0.9
    assert correlation_of_details(*(each[0].double().numpy() for each in (whole, part))) < 0.7


def test_what_is_alike_in_the_large_alone_does_not_agree(photo):
    one = grey(photo)
    random = np.random.default_rng(0)
    coarse = Image.fromarray(one[0].numpy()).resize((24, 24), Image.Resampling.BOX)
    large = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(float)
    other = (large + random.normal(0, 4, large.shape)).clip(0, 255).astype(np.uint8)
    whole = np.corrcoef(one[0].numpy().ravel(), other.ravel())[0, 1]
    assert whole > 0.9
    assert agreement(one, torch.from_numpy(other)[None]).item() < 0.7


def test_flat_and_unlike_pictures_score_0_and_never_nan(photo):
    flat = torch.full((1, SIDE, SIDE), 90, dtype=torch.uint8)
    one = grey(photo)
    pairs = [(flat, flat), (flat, one), (one, flat), (one, 255 - one)]
    assert [agreement(*pair).item() for pair in pairs] == [0, 0, 0, 0]


def test_each_pair_is_on_its_own(photo):
    one = grey(photo)
    others = torch.cat([one, one.flip(-1), grey(photo[4:-4, 2:-6]), one.flip(1)])
    together = agreement(one.expand(4, -1, -1), others)
    alone = torch.cat([agreement(one, each[None]) for each in others])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
    assert agreement(others[:0], others[:0]).shape == (0,)


def test_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"must be \(P, 64, 64\)"):
        agreement(torch.zeros(2, 64, 64), torch.zeros(1, 64, 64))
    with pytest.raises(ValueError, match=r"must be \(P, 64, 64\)"):
        agreement(torch.zeros(2, 32, 32), torch.zeros(2, 32, 32))
