"""Maxima of quarters beside a slow loop over places."""

import pytest
import torch

from lookalike.backbones.exemplar import exemplar_small
from lookalike.backbones.small import small_conv
from lookalike.evaluation.quadrants import HasStages, quadrant_features, quadrant_maxima


def slowly(maps):
    """A place is in the upper half if its middle is not below the middle of the map."""
    count, channels, height, width = maps.shape
    found = torch.full((count, 4 * channels), -torch.inf)
    for row in range(height):
        for column in range(width):
            for below in (0, 1):
                for right in (0, 1):
                    inside = (2 * row + 1 >= height if below else 2 * row + 1 <= height) and (
                        2 * column + 1 >= width if right else 2 * column + 1 <= width
                    )
                    if inside:
                        part = slice(
                            (2 * below + right) * channels, (2 * below + right + 1) * channels
                        )
                        found[:, part] = found[:, part].maximum(maps[:, :, row, column])
    return found


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (4, 6), (3, 5), (9, 9), (1, 4)])
def test_maxima_are_those_of_a_slow_loop(height, width):
    maps = torch.randn(3, 5, height, width, generator=torch.Generator().manual_seed(0))
    assert torch.equal(quadrant_maxima(maps), slowly(maps))


def test_one_bright_place_is_seen_in_its_quarter_alone():
    maps = torch.zeros(4, 1, 6, 6)
    for number, (row, column) in enumerate([(1, 2), (0, 3), (5, 0), (3, 5)]):
        maps[number, 0, row, column] = 1
    assert torch.equal(quadrant_maxima(maps), torch.eye(4))


def test_features_are_four_a_channel_of_every_layer():
    network = exemplar_small(width=4, patch=16).eval()
    images = torch.rand(2, 3, 32, 32)
    stages = network.stages(images)
    features = quadrant_features(stages)
    assert features.shape == (2, 4 * (4 + 4 + 8))
    assert torch.equal(features[:, 32:], quadrant_maxima(stages[2]))


def test_mirroring_an_image_swaps_its_halves():
    maps = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(1))
    quarters = quadrant_maxima(maps).view(2, 2, 2, 3)  # image, lower, right, channel
    assert torch.equal(quadrant_maxima(maps.flip(3)).view(2, 2, 2, 3), quarters.flip(2))
    assert torch.equal(quadrant_maxima(maps.flip(2)).view(2, 2, 2, 3), quarters.flip(1))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 0, 4)])
def test_maps_must_have_places(shape):
    with pytest.raises(ValueError, match="maps must be"):
        quadrant_maxima(torch.zeros(shape))


def test_small_networks_show_their_stages():
    assert isinstance(exemplar_small(width=4), HasStages)
    assert isinstance(small_conv(width=4), HasStages)
