"""A dictionary of patches as one convolution: the same numbers as patch by patch."""

import pytest
import torch
from torch.nn import functional as F

from lookalike.backbones.build import build_backbone
from lookalike.backbones.patch_dictionary import EPS, _cells, patch_dictionary


def by_patches(network, image):
    """Return the features of a (3, H, W) image, computed patch by patch, scale by scale."""
    features = []
    for number, scale in enumerate(network.scales):
        picture = F.avg_pool2d(image, 1 << number)
        rows, columns = (side - scale.patch + 1 for side in picture.shape[1:])
        responses = torch.zeros(rows, columns, len(scale.bias), dtype=image.dtype)
        for row in range(rows):
            for column in range(columns):
                patch = picture[:, row : row + scale.patch, column : column + scale.patch].flatten()
                patch = (patch - patch.mean()) / (patch.var(unbiased=False) + EPS).sqrt()
                responses[row, column] = scale.weight.flatten(1) @ patch - scale.bias
        sides = []
        for sign in (1, -1):
            strong = (sign * responses - scale.threshold).clamp(min=0)
            for down in range(scale.cells):
                for across in range(scale.cells):
                    top, bottom = down * rows // scale.cells, -(-(down + 1) * rows // scale.cells)
                    left = across * columns // scale.cells
                    right = -(-(across + 1) * columns // scale.cells)
                    sides.append(strong[top:bottom, left:right].mean(dim=(0, 1)))
        cells = scale.cells**2
        above, below = torch.stack(sides[:cells]), torch.stack(sides[cells:])
        features.append(torch.cat([above, below], dim=1).flatten())
    return (torch.cat(features) + 1e-6).sqrt()


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = patch_dictionary(filters=5, patches=(4, 3), cells=2).double()
    for scale in network.scales:
        torch.nn.init.normal_(scale.bias, std=0.2)
    return network


@pytest.mark.parametrize("shape", [(12, 12), (11, 15)])
def test_features_are_those_of_a_slow_loop_over_patches(network, shape):
    images = torch.rand(3, 3, *shape, dtype=torch.float64)
    slow = torch.stack([by_patches(network, image) for image in images])
    # maps are float32 from the convolution on; the root of a response near 0 is steep
    assert torch.allclose(network(images).double(), slow, atol=2e-4)


def test_its_width_is_what_it_returns(network):
    assert network.dim == 2 * 5 * 4 * 2
    assert network(torch.rand(2, 3, 16, 16, dtype=torch.float64)).shape == (2, network.dim)


def test_brightness_and_contrast_fall_out():
    """A patch is normalised, so a + b x looks like x, but for what EPS adds to the variance."""
    network = patch_dictionary(filters=8, patches=(5,))
    images = torch.rand(4, 3, 16, 16)
    assert torch.allclose(network(0.3 + 0.5 * images), network(images), atol=0.02)


def test_a_constant_picture_is_finite_and_has_a_gradient():
    network = patch_dictionary(filters=4, patches=(4,))
    images = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    network(images).sum().backward()
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()


def test_in_parts_and_whole_are_the_same():
    network = patch_dictionary(filters=8).eval()
    images = torch.rand(19, 3, 16, 16)
    whole = network(images)
    with torch.inference_mode():
        assert torch.allclose(network(images), whole, atol=1e-6)


@pytest.mark.parametrize(("side", "cells"), [(27, 2), (5, 3), (2, 4), (1, 2)])
def test_every_cell_is_an_average_and_every_place_counts(side, cells):
    shares = _cells(side, side, cells)
    assert torch.allclose(shares.sum(dim=1), torch.ones(cells * cells))
    assert (shares.sum(dim=0) > 0).all()


def test_pictures_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="at least 10 px"):
        patch_dictionary(patches=(6, 5))(torch.rand(1, 3, 9, 9))


@pytest.mark.parametrize(
    "arguments",
    [{"filters": 0}, {"cells": 0}, {"patches": ()}, {"patches": (1,)}, {"threshold": -1}],
)
def test_what_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        build_backbone("patch_dictionary", **arguments)
