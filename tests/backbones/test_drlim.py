"""The network is the paper's: its layers, its count of weights, and what it makes of a picture."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lookalike.backbones.build import build_backbone
from lookalike.backbones.drlim import drlim


def test_layers_and_weights_are_the_papers():
    network = drlim()
    assert network.dim == 2
    assert sum(parameter.numel() for parameter in network.parameters()) == 37_097
    first, second = network.stages(torch.rand(1, 3, 32, 32))
    assert first.shape == (1, 15, 27, 27)
    assert second.shape == (1, 30, 1, 1)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


def test_a_picture_goes_through_them_as_written_down():
    """Convolutions as sums over patches; 3 x 3 averages side by side."""
    torch.manual_seed(0)
    network, images = drlim(dim=3).double(), torch.rand(2, 3, 32, 32, dtype=torch.float64)
    grey = images.sum(dim=1) / 3
    patches = grey.unfold(1, 6, 1).unfold(2, 6, 1)  # (2, 27, 27, 6, 6)
    weights, bias = network.first.weight[:, 0], network.first.bias[:, None, None]
    first = torch.tanh(torch.einsum("bhwij,cij->bchw", patches, weights) + bias)
    small = first.unflatten(3, (9, 3)).unflatten(2, (9, 3)).mean(dim=(3, 5))  # (2, 15, 9, 9)
    second = torch.tanh(
        torch.einsum("bchw,kchw->bk", small, network.second.weight) + network.second.bias
    )
    expected = F.linear(second, network.connected.weight, network.connected.bias)
    torch.testing.assert_close(network(images), expected)


def test_places_of_a_larger_picture_are_averaged():
    network = drlim()
    images = torch.rand(2, 3, 44, 38)
    places = network.stages(images)[-1]
    assert places.shape == (2, 30, 5, 3)
    torch.testing.assert_close(network(images), network.connected(places.mean(dim=(2, 3))))


def test_it_goes_by_its_name_and_refuses_nonsense():
    assert build_backbone("drlim", dim=5).dim == 5
    with pytest.raises(ValueError, match="dim must be at least 1"):
        drlim(dim=0)
    with pytest.raises(ValueError, match="at least 32 px"):
        drlim()(torch.rand(1, 3, 28, 40))
