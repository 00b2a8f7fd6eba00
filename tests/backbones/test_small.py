"""The small network is four convolutions and an average."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lookalike.backbones.base import EncodesInStages
from lookalike.backbones.small import small_conv


@pytest.mark.parametrize("width", [4, 32])
def test_dim_is_the_width_of_the_representation(width):
    network = small_conv(width=width)
    assert network.dim == 8 * width
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, network.dim)


def test_parameters_are_those_of_four_convolutions():
    network = small_conv(width=8)
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == 4
    weights = 9 * (3 * 8 + 8 * 16 + 16 * 32 + 32 * 64)
    assert sum(p.numel() for p in network.parameters()) == weights + 2 * (8 + 16 + 32 + 64)


def test_stages_are_the_maps_and_the_last_is_averaged():
    network = small_conv(width=4).eval()
    images = torch.rand(2, 3, 16, 16)
    stages = network.stages(images)
    assert [maps.shape[1:] for maps in stages] == [(4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2)]
    assert torch.equal(stages[-1].mean((2, 3)), network(images))


def test_after_a_stage_comes_what_is_left():
    network = small_conv(width=4).eval()
    images = torch.rand(2, 3, 16, 16)
    assert isinstance(network, EncodesInStages)
    for number, maps in enumerate(network.stages(images), 1):
        assert maps.shape[1] == network.widths[number - 1]
        torch.testing.assert_close(network.after(number)(maps), network(images))


def test_the_smallest_picture_passes():
    assert small_conv(width=4).eval()(torch.rand(1, 3, 1, 1)).shape == (1, 32)


def test_width_must_be_positive():
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        small_conv(width=0)
