"""Our ResNets are torchvision's, but for their stems and their start."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from lookalike.backbones.base import EncodesInStages
from lookalike.backbones.resnet import ResNet, resnet18, resnet34, resnet50


def small_images(count: int = 2, side: int = 64) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def without_classifier(network: nn.Module) -> nn.Module:
    network.fc = nn.Identity()
    return network


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("make", "make_theirs"),
    [
        (resnet18, torchvision.models.resnet18),
        (resnet34, torchvision.models.resnet34),
        (resnet50, torchvision.models.resnet50),
    ],
)
def test_imagenet_stem_is_torchvisions_trunk(make, make_theirs):
    ours = make(stem="imagenet").double()
    theirs = without_classifier(make_theirs()).double()
    assert count_parameters(ours) == count_parameters(theirs)
    ours.load_state_dict(theirs.state_dict())
    images = small_images(side=32).double()
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(images), theirs.train(mode)(images))


@pytest.mark.parametrize(
    ("stem", "sides"), [("cifar", (32, 4)), ("strided", (16, 2)), ("imagenet", (8, 1))]
)
def test_stem_keeps_halves_or_quarters(stem, sides):
    network = resnet18(width=4, stem=stem)
    seen = []
    for stage in (network.layer1, network.layer4):
        stage.register_forward_hook(lambda _module, _args, maps: seen.append(maps.shape[-1]))
    network(small_images(side=32))
    assert tuple(seen) == sides


@pytest.mark.parametrize("make", [resnet18, resnet34, resnet50])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_after_a_stage_comes_what_is_left(make, stem):
    network = make(width=4, stem=stem, zero_init_residual=False).eval()
    images = small_images(side=32)
    assert isinstance(network, EncodesInStages)
    for number, maps in enumerate(network.stages(images), 1):
        assert maps.shape[1] == network.widths[number - 1]
        torch.testing.assert_close(network.after(number)(maps), network(images))


@pytest.mark.parametrize("make", [resnet18, resnet34, resnet50])
def test_dim_is_the_width_of_the_representation(make):
    network = make(width=4)
    assert network(small_images(side=16)).shape == (2, network.dim)


@pytest.mark.parametrize("make", [resnet18, resnet50])
def test_zero_init_residual_starts_every_block_as_its_shortcut(make):
    block = make(width=4).layer1[1]  # its shortcut is the identity
    x = torch.rand(2, 4 * block.expansion, 8, 8)  # not negative, so the last ReLU keeps it
    torch.testing.assert_close(block(x), x)
    assert not torch.equal(make(width=4, zero_init_residual=False).layer1[1](x), x)


def test_every_parameter_learns():
    network = resnet18(width=4, zero_init_residual=False)
    network(small_images(count=4, side=16)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.count_nonzero() > 0, name


def test_channels_last_changes_nothing():
    network = resnet18(width=4)
    images = small_images(side=16)
    expected = network(images)
    network = network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(images.to(memory_format=torch.channels_last)), expected)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        resnet18(width=0)
    with pytest.raises(ValueError, match="stem must be one of cifar, imagenet, strided, got 'x'"):
        resnet18(stem="x")


def test_state_loads_into_a_copy():
    torch.manual_seed(0)
    source: ResNet = resnet18(width=4)
    target = resnet18(width=4)
    target.load_state_dict(source.state_dict())
    images = small_images(side=16)
    torch.testing.assert_close(source.eval()(images), target.eval()(images), rtol=0, atol=0)
