"""Each paper's head, layer by layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lookalike.nn.heads import mlp, split_layers


def kinds(head: nn.Sequential) -> list[type[nn.Module]]:
    return [type(layer) for layer in head]


def normalised(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()


def test_simclr_head_by_hand():
    head = mlp(6, 5, 4, final_batch_norm="scale").double()
    assert kinds(head) == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d]
    assert head[0].bias is None
    assert head[3].bias is None
    nn.init.uniform_(head[1].weight)
    nn.init.uniform_(head[1].bias)
    nn.init.uniform_(head[4].weight)
    x = torch.randn(7, 6, dtype=torch.float64)
    hidden = F.relu(normalised(x @ head[0].weight.T) * head[1].weight + head[1].bias)
    expected = normalised(hidden @ head[3].weight.T) * head[4].weight
    torch.testing.assert_close(head(x), expected)


def test_scale_has_no_centre_to_learn():
    head = mlp(6, 4, final_batch_norm="scale")
    head(torch.randn(7, 6)).square().sum().backward()
    assert head[-1].weight.grad is not None
    assert head[-1].bias.grad is None
    assert head[-1].bias.count_nonzero() == 0


def test_three_layers():
    head = mlp(6, 5, 5, 4, final_batch_norm="scale")
    assert sum(kind is nn.Linear for kind in kinds(head)) == 3
    assert sum(kind is nn.BatchNorm1d for kind in kinds(head)) == 3


def test_moco_head_has_biases_and_no_normalisation():
    head = mlp(6, 6, 4, batch_norm=False)
    assert kinds(head) == [nn.Linear, nn.ReLU, nn.Linear]
    assert all(layer.bias is not None for layer in head if isinstance(layer, nn.Linear))


def test_byol_head_ends_in_a_linear_layer():
    head = mlp(6, 8, 4)
    assert kinds(head) == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert head[-1].bias is not None


def test_simsiam_head_ends_in_a_normalisation_without_parameters():
    last = mlp(6, 8, 8, 8, final_batch_norm="plain")[-1]
    assert not list(last.parameters())


def test_full_has_a_centre_to_learn():
    last = mlp(6, 4, final_batch_norm="full")[-1]
    assert all(parameter.requires_grad for parameter in last.parameters())


def test_one_layer_is_linear_alone():
    assert kinds(mlp(6, 4)) == [nn.Linear]
    assert mlp(6, 4, bias=False)[0].bias is None


def test_a_slice_is_the_head_up_to_a_layer():
    head = mlp(6, 5, 4)
    x = torch.randn(7, 6)
    torch.testing.assert_close(head[3:](head[:3](x)), head(x))


@pytest.mark.parametrize(
    ("widths", "message"), [((6,), "at least two"), ((6, 0), "width must be at least 1, got 0")]
)
def test_wrong_widths_are_named(widths, message):
    with pytest.raises(ValueError, match=message):
        mlp(*widths)


def test_wrong_normalisation_is_named():
    with pytest.raises(ValueError, match=r"final_batch_norm must be one of .*, got 'half'"):
        mlp(6, 4, final_batch_norm="half")


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("widths", [(6, 4), (6, 5, 4), (6, 5, 5, 4)])
def test_split_layers_are_the_head_one_after_the_other(widths, batch_norm):
    head = mlp(*widths, batch_norm=batch_norm, final_batch_norm="scale")
    layers = split_layers(head)
    assert len(layers) == len(widths) - 1
    assert [part for layer in layers for part in layer] == list(head)
    assert all(isinstance(layer[0], nn.Linear) for layer in layers)
    x = torch.randn(7, 6)
    passed = x
    for layer, width in zip(layers, widths[1:], strict=True):
        passed = layer(passed)
        assert passed.shape == (7, width)
    torch.testing.assert_close(passed, head(x))


def test_split_layers_of_other_heads():
    relu, first, second = nn.ReLU(), nn.Linear(4, 3), nn.Linear(3, 2)
    nested = nn.Sequential(relu, nn.Sequential(first, nn.Identity()), nn.Sequential(second))
    assert [list(layer) for layer in split_layers(nested)] == [[relu, first], [second]]
    assert [list(layer) for layer in split_layers(first)] == [[first]]
    assert split_layers(nn.Identity()) == []
