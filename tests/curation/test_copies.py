"""Altered copies are altered as they say, each in its own way, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.curation.copies import KINDS, alter, altered_copies
from lookalike.data.decode import decode
from lookalike.data.sources import open_source


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return decode(open_source("hands/test").read(1))


def drawn(photo: np.ndarray, kind: str, times: int = 20) -> list[np.ndarray]:
    return [alter(photo, kind, np.random.default_rng(seed)) for seed in range(times)]


def test_a_re_encoded_copy_keeps_its_size_and_loses_little(photo):
    copies = drawn(photo, "re-encoded")
    assert {copy.shape for copy in copies} == {photo.shape}
    changes = [np.abs(copy.astype(int) - photo).mean() for copy in copies]
    assert 0.5 < max(changes) < 6


def test_a_resized_copy_keeps_its_proportions(photo):
    sides = [copy.shape[:2] for copy in drawn(photo, "resized")]
    assert all(height == width for height, width in sides)
    assert all(0.5 <= height / len(photo) <= 1.5 for height, _ in sides)
    assert min(sides)[0] < 0.8 * len(photo) < 1.2 * len(photo) < max(sides)[0]


def test_a_trimmed_copy_loses_some_of_each_side(photo):
    shares = {copy.shape[0] / photo.shape[0] for copy in drawn(photo, "trimmed")}
    assert 0.9 <= min(shares) < max(shares) < 1


def test_a_brightened_copy_is_darker_or_brighter(photo):
    factors = [copy.mean() / photo.mean() for copy in drawn(photo, "brightened")]
    assert 0.74 < min(factors) < 0.9 < 1.1 < max(factors) < 1.26


@pytest.mark.parametrize("kind", KINDS)
def test_a_pixel_can_be_altered(kind):
    pixel = np.full((1, 1, 3), 100, np.uint8)
    assert min(alter(pixel, kind, np.random.default_rng(0)).shape) >= 1


def test_kinds_take_turns_and_a_seed_repeats(photo):
    images = open_source("hands/test")
    positions = np.array([5, 2, 9, 0])
    first, again = (altered_copies(images, positions, seed=3) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    other = altered_copies(images, positions, seed=4)
    assert not all(a.shape == b.shape and (a == b).all() for a, b in zip(first, other, strict=True))
    for place, (copy, position) in enumerate(zip(first, positions.tolist(), strict=True)):
        random = np.random.default_rng((3, place, position))
        expected = alter(decode(images.read(position)), KINDS[place], random)
        np.testing.assert_array_equal(copy, expected)


def test_an_unknown_kind_is_refused(photo):
    with pytest.raises(ValueError, match="kind must be one of"):
        alter(photo, "painted", np.random.default_rng(0))
