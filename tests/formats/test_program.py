"""The program does what the encoder does, in arithmetic that any runtime has."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lookalike.backbones.base import Backbone
from lookalike.data.decode import centre_square
from lookalike.errors import LookalikeError
from lookalike.formats.program import Program, centre_squares, facts, resize_weights, settled, trace
from lookalike.inference import Encoder


@pytest.mark.parametrize("size", [8, 24, 32, 100])
def test_squares_are_those_of_pillow(photos, size):
    """Smaller and larger, upright and lying.

    Pillow computes with fractions of 22 bits, and takes the axes of tall images in either order.
    """
    for photo in photos:
        expected = centre_square(photo, size).astype(float)
        got = centre_squares(torch.from_numpy(photo)[None].permute(0, 3, 1, 2), size)
        apart = np.abs(got[0].permute(1, 2, 0).numpy() - expected)
        assert apart.max() <= 1
        if photo.shape[1] >= photo.shape[0]:
            assert (apart > 0).mean() < 0.005


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (700, 500)])
def test_squares_of_thin_and_large_pictures_are_those_of_pillow(height, width):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    got = centre_squares(torch.from_numpy(noise)[None].permute(0, 3, 1, 2), 16)
    apart = np.abs(got[0].permute(1, 2, 0).numpy() - centre_square(noise, 16))
    assert apart.max() <= 1


def test_weights_are_a_mean_and_keep_what_has_the_size_already():
    torch.testing.assert_close(resize_weights(70, 50, 16).sum(1), torch.ones(16))
    torch.testing.assert_close(resize_weights(16, 16, 16), torch.eye(16))
    cut = torch.zeros(16, 20)
    cut[:, 2:18] = torch.eye(16)
    torch.testing.assert_close(resize_weights(20, 16, 16), cut)


def test_the_program_says_what_the_encoder_says(encoder, photos):
    program = Program(settled(encoder))
    for photo in photos:
        vectors = program(torch.from_numpy(photo)[None])
        np.testing.assert_allclose(vectors.numpy(), encoder.encode(photo), atol=2e-3)
        assert vectors.norm(dim=1).item() == pytest.approx(1)


def test_nothing_stays_nothing():
    class Nothing(Backbone):
        def __init__(self):
            super().__init__(dim=3)

        def forward(self, images):
            return images[:, :, 0, 0] * 0

    program = Program(Encoder(Nothing(), size=4, name="nothing"))
    assert not program(torch.full((2, 5, 6, 3), 7, dtype=torch.uint8)).any()


def test_a_settled_encoder_is_a_copy(make_encoder):
    encoder = make_encoder(width=4)
    encoder.precision = "bfloat16"
    encoder.backbone.train()
    still = settled(encoder)
    assert still.precision == "float32"
    assert not any(module.training for module in still.backbone.modules())
    assert not any(weight.requires_grad for weight in still.backbone.parameters())
    assert all(module.training for module in encoder.backbone.modules())
    assert all(weight.requires_grad for weight in encoder.backbone.parameters())
    with torch.no_grad():
        next(still.backbone.parameters()).zero_()
    assert next(encoder.backbone.parameters()).any()


def test_what_cannot_be_a_graph_is_said():
    class Fickle(Backbone):
        def __init__(self):
            super().__init__(dim=3)

        def forward(self, images):
            colours = images.mean(dim=(2, 3))
            return colours if colours.sum() > 0 else -colours

    with pytest.raises(LookalikeError, match=r"fickle cannot be .* graph[^\n]*\n.*safetensors"):
        trace(Encoder(Fickle(), size=4, name="fickle"))


def test_facts_are_of_the_encoder(encoder):
    said = facts(encoder)
    assert said["fingerprint"] == encoder.fingerprint()
    assert said["dim"] == "32"
    assert '"size": 24' in said["preparation"]
    assert all(isinstance(value, str) for value in said.values())
