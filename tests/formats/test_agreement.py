"""The check that an export must pass: what it lets through and what it does not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torch import nn

from lookalike.backbones.base import Backbone
from lookalike.data.sources import open_source
from lookalike.formats.agreement import Agreement, compare, draw_pictures
from lookalike.inference import Encoder


class Colours(Backbone):
    """Shows what it was given: the mean of each channel."""

    def __init__(self):
        super().__init__(dim=3)
        self.unused = nn.Linear(1, 1)

    def forward(self, images):
        return images.mean(dim=(2, 3))


@pytest.fixture
def colours():
    return Encoder(Colours(), size=16, name="colours")


def test_an_encoder_agrees_with_itself_alone_and_in_batches(colours, photos):
    sizes = []

    def compute(images):
        sizes.append(images.shape)
        return colours.encode(images)

    assert compare(colours, compute, photos) == pytest.approx(1, abs=1e-6)
    assert [shape[0] for shape in sizes] == [1] * 8 + [3, 8]
    assert [shape[1:3] for shape in sizes[:8]] == [photo.shape[:2] for photo in photos]


def test_few_pictures_are_shown_again_to_fill_a_batch(colours, photos):
    assert compare(colours, colours.encode, photos[:1]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda vectors: vectors[:, ::-1],  # blue before red
        lambda vectors: vectors[:, :2],
        lambda vectors: vectors * np.nan,
        lambda vectors: vectors * 0,
        lambda vectors: -vectors,
        lambda vectors: vectors if len(vectors) == 1 else np.roll(vectors, 1, axis=0),
    ],
)
def test_what_differs_is_found(colours, photos, wrong):
    cosine = compare(colours, lambda images: wrong(colours.encode(images)), photos)
    assert not Agreement("photos", len(photos), cosine).holds


def test_the_least_cosine_counts(colours, photos):
    """One of eight is turned by an angle whose cosine is known."""

    def compute(images):
        vectors = colours.encode(images).astype(float)
        if len(vectors) == 8:
            across = np.cross(vectors[5], [1.0, 0, 0])
            vectors[5] = 3 * vectors[5] + 4 * across / np.linalg.norm(across)
        return vectors

    assert compare(colours, compute, photos) == pytest.approx(0.6)


def test_vectors_of_length_0_agree_with_each_other_alone(colours):
    black = [np.zeros((20, 20, 3), np.uint8)]
    assert compare(colours, colours.encode, black) == 1
    assert compare(colours, lambda images: colours.encode(images) + 1, black) == 0


def test_pictures_are_drawn_from_what_can_be_read(tmp_path):
    for number in range(3):
        (tmp_path / f"broken{number}.png").write_bytes(b"not an image")
        Image.new("RGB", (2000, 1000 + number)).save(tmp_path / f"whole{number}.png")
    drawn = draw_pictures(open_source(tmp_path))
    assert [picture.shape[0] for picture in drawn] == [512] * 3


def test_at_most_eight_pictures_are_drawn_and_always_the_same():
    images = open_source("hands/test")
    first, again = draw_pictures(images), draw_pictures(images)
    assert len(first) == 8
    np.testing.assert_array_equal(first, again)
