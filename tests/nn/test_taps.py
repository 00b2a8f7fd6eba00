"""Taps: what layers return is heard, and the network is left as it was."""

import pytest
import torch
from torch import nn

from lookalike.nn.taps import Taps, last_map, layer_shapes


def a_network():
    torch.manual_seed(0)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), head)


def test_layers_are_heard_in_the_order_they_were_named():
    network, images = a_network(), torch.rand(2, 3, 6, 6)
    taps = Taps(network, ["2.2", "0", ""])
    result = network(images)
    last, first, whole = taps.take()
    assert last.equal(result)
    assert whole.equal(result)
    assert first.equal(network[0](images))


def test_shapes_are_told_and_nothing_moves():
    network = a_network().train()
    shapes = layer_shapes(network, size=6)
    assert shapes["1"] == (4, 4, 4)
    assert shapes[""] == (2,)
    assert last_map(shapes) == "2.0"
    assert network[1].training
    assert network[1].num_batches_tracked == 0
    assert not network[0]._forward_hooks


def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"no layer '2\.3'\. Did you mean 2\."):
        Taps(a_network(), ["2.3"])
    with pytest.raises(ValueError, match="no layer makes a map"):
        last_map({"": (4,)})


def test_of_many_layers_only_the_outer_ones_are_told():
    deep = nn.Sequential(*(nn.Sequential(nn.ReLU(), nn.ReLU()) for _ in range(12)))
    with pytest.raises(ValueError, match=r"\(0, 1, .*, 11, and what is in them\)"):
        Taps(deep, ["head"])
