"""The networks are the paper's: their layers, and what they make of a patch and of more."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lookalike.backbones.exemplar import exemplar_large, exemplar_medium, exemplar_small


@pytest.mark.parametrize(
    ("make", "widths"),
    [
        (exemplar_small, (64, 64, 128)),
        (exemplar_medium, (64, 128, 256, 512)),
        (exemplar_large, (92, 256, 512, 1024)),
    ],
)
def test_layers_are_the_papers(make, widths):
    network = make()
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert tuple(layer.out_channels for layer in layers) == widths
    assert [layer.kernel_size for layer in layers] == [(5, 5)] * (len(widths) - 1) + [(8, 8)]
    assert network.dim == widths[-1]
    assert network.dropout.p == 0.5
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    stages = network.eval().stages(torch.rand(1, 3, 32, 32))
    sides = [16, 8, 8, 8][: len(widths) - 1]
    assert [maps.shape[1:] for maps in stages] == [
        *((width, side, side) for width, side in zip(widths, sides, strict=False)),
        (widths[-1], 1, 1),
    ]


def a_network(**arguments):
    torch.manual_seed(0)
    return exemplar_medium(width=4, **arguments).eval()


def test_a_patch_goes_through_a_fully_connected_layer():
    """Written down as in the paper: ReLU before pooling, a matrix for the last layer."""
    network, images = a_network(), torch.rand(3, 3, 32, 32)
    x = images
    for number, layer in enumerate(network.convolutions):
        x = F.relu(layer(x))
        if number < 2:
            x = F.max_pool2d(x, 2)
    last = network.connected
    x = F.relu(F.linear(x.flatten(1), last.weight.flatten(1), last.bias))
    assert x.shape == (3, 32)
    assert_close(network(images), x)


def test_of_a_larger_image_the_most_is_taken_over_its_places():
    """A patch in a plain image is seen wherever it lies, in steps of the two poolings."""
    network = a_network()
    image = torch.rand(1, 3, 48, 40)
    last = network.stages(image)[-1]
    assert last.shape == (1, 32, 5, 3)  # maps of 12 x 10, a layer of 8 x 8
    assert_close(network(image), last.amax((2, 3)))
    moved = image.roll((4, 8), dims=(2, 3))
    inner = network.stages(image)[0][:, :, 4:-8, 4:-8]
    assert_close(network.stages(moved)[0][:, :, 6:-6, 8:-4], inner)


def test_a_smaller_patch_makes_a_smaller_network():
    network = a_network(patch=16)
    assert network.connected.kernel_size == (4, 4)
    assert network.stages(torch.rand(1, 3, 16, 16))[-1].shape == (1, 32, 1, 1)
    with pytest.raises(ValueError, match="at least 16 px"):
        network(torch.rand(1, 3, 12, 16))


def test_dropout_is_for_training_alone():
    network, images = a_network(), torch.rand(2, 3, 32, 32) + 1
    plain = network(images)
    dropped = network.train()(images)
    kept = dropped != 0
    assert_close(dropped[kept], 2 * plain[kept])
    assert (plain[~kept] > 0).any()


def test_what_comes_out_is_as_large_as_what_goes_in():
    """He's start: the mean square stays the same from layer to layer, so that deep nets train."""
    torch.manual_seed(0)
    images = torch.randn(16, 3, 32, 32)
    network = exemplar_medium(width=32)
    x = images
    for layer in network.convolutions:
        x = layer(F.relu(x) if layer is not network.convolutions[0] else x)
        inner = x[:, :, 4:-4, 4:-4]
        assert 1 < inner.square().mean() < 4  # 2 times what ReLU halves again


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"patch": 30}, {"dropout": 1.0}], ids=lambda wrong: next(iter(wrong))
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        exemplar_small(**wrong)
