"""Every patch of the grid is encoded alone."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from lookalike.backbones.base import EncodesGrid
from lookalike.backbones.build import build_backbone
from lookalike.backbones.patches import WINDOWS, patches


@pytest.mark.parametrize(
    ("shape", "patch", "stride", "grid"),
    [
        ((32, 32), 8, 4, (7, 7)),
        ((64, 64), 16, 8, (7, 7)),  # the ports' STL-10
        ((256, 256), 64, 32, (7, 7)),  # the paper
        ((16, 24), 8, 8, (2, 3)),
        ((8, 8), 8, 4, (1, 1)),
    ],
)
def test_the_grid_is_as_large_as_the_patches_allow(shape, patch, stride, grid):
    network = patches(patch=patch, stride=stride, width=2, depth=1)
    assert isinstance(network, EncodesGrid)
    images = torch.rand(2, 3, *shape)
    assert network.grid(images).shape == (2, *grid, network.dim)
    assert network(images).shape == (2, network.dim)
    assert network.dim == 16


def test_patches_are_those_of_a_slow_loop():
    network = patches(patch=8, stride=4, width=2)
    images = torch.rand(2, 3, 16, 20)
    cut = network.cut(images)
    for row in range(3):
        for column in range(4):
            there = images[:, :, 4 * row : 4 * row + 8, 4 * column : 4 * column + 8]
            assert cut[:, row, column].equal(there)


@pytest.mark.parametrize(("side", "left_out"), [(32, 0), (33, 1), (34, 2), (35, 3)])
def test_what_does_not_fit_is_cut_from_all_sides(side, left_out):
    network = patches(width=2)
    images = torch.rand(1, 3, side, side)
    before = left_out // 2
    centre = images[:, :, before : before + 32, before : before + 32]
    assert network.cut(images).equal(network.cut(centre))


def test_a_patch_is_encoded_as_it_would_be_alone():
    network = patches(width=4).double()
    images = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    grid = network.grid(images)
    alone = network.grid(images[1:2, :, 8:16, 12:20])  # row 2, column 3
    torch.testing.assert_close(grid[1, 2, 3], alone[0, 0, 0])


def test_no_layer_looks_over_a_border_or_over_the_batch():
    network = patches(width=4)
    assert not any(isinstance(layer, _NormBase) for layer in network.modules())
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        before = network.grid(images)
        images[0, :, 13, 9] += 1  # a pixel of rows 2 and 3, of columns 1 and 2
        moved = (network.grid(images) != before).any(-1)
    expected = torch.zeros(2, 7, 7, dtype=torch.bool)
    expected[0, 2:4, 1:3] = True
    assert moved.equal(expected)


def test_its_products_are_two_convolutions_without_padding():
    """Without blocks between, the encoder's linear layers are convolutions of a patch."""
    network = patches(width=2, depth=0, layer_norm=False).double()
    first, between, merge = network.encoder[0], network.encoder[1], network.encoder[-2]
    nn.init.zeros_(between.layers[-1].weight)
    nn.init.zeros_(between.layers[-1].bias)
    pixels = torch.rand(5, 3, 8, 8, dtype=torch.float64)
    maps = nn.functional.conv2d(pixels, first.weight.view(2, 3, 4, 4), first.bias, stride=2)
    weight = merge.weight.view(16, WINDOWS, WINDOWS, 2).permute(0, 3, 1, 2)
    vectors = nn.functional.conv2d(maps.relu(), weight, merge.bias).relu().flatten(1)
    torch.testing.assert_close(network(pixels), vectors)


def test_forward_is_the_mean_of_the_grid():
    network = patches(width=2)
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(network(images), network.grid(images).flatten(1, 2).mean(1))


def test_a_change_is_made_to_each_patch():
    network = patches(width=2)
    images, seen = torch.rand(2, 3, 16, 16), []

    def darken(pixels):
        seen.append(pixels.shape)
        return 0 * pixels

    grid = network.grid(images, darken)
    assert seen == [(2 * 9, 3, 8, 8)]
    assert grid.equal(network.grid(torch.zeros_like(images)))


def test_memory_format_does_not_matter():
    network = patches(width=2).double()
    images = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    last = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(network(last), network(images))


def test_it_goes_by_its_name():
    assert build_backbone("patches", width=3, patch=4, stride=2).dim == 24


@pytest.mark.parametrize(
    "wrong", [{"patch": 6}, {"patch": 0}, {"stride": 0}, {"width": 0}, {"depth": -1}]
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        patches(**wrong)


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="at least a patch of 8 px, got 8 x 7"):
        patches(width=2)(torch.rand(1, 3, 8, 7))
