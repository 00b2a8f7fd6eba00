"""Both other ways through a 3 x 3 convolution end where torch's own ends."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike.backbones import convolution
from lookalike.backbones.convolution import POINTS, Conv3x3, unfolded, winograd

WAYS = [winograd, unfolded]


def random(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def relative_error(value: Tensor, truth: Tensor) -> float:
    value, truth = value.detach().double(), truth.detach().double()
    return float((value - truth).norm() / truth.norm())


@pytest.mark.parametrize("way", WAYS)
@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 5),
    out_channels=st.integers(1, 5),
    height=st.integers(1, 13),
    width=st.integers(1, 13),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_any_shape_is_torchs_convolution(way, batch, channels, out_channels, height, width):
    images = random(batch, channels, height, width)
    weight = random(out_channels, channels, 3, 3, seed=1)
    expected = F.conv2d(images, weight, padding=1)
    torch.testing.assert_close(way(images, weight), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sides", [(4, 4), (2, 6), (5, 3)])
def test_gradients_are_those_of_the_output(way, sides):
    images = random(2, 3, *sides).requires_grad_()
    weight = random(4, 3, 3, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(way, (images, weight))


@pytest.mark.parametrize("side", [2, 3, 4, 6, 7, 8, 12, 16, 32])
def test_winograd_rounds_little_in_float32(side):
    images, weight = random(4, 64, side, side), random(64, 64, 3, 3, seed=1)
    truth = F.conv2d(images, weight, padding=1)
    assert relative_error(winograd(images.float(), weight.float()), truth) < 1e-6


@pytest.mark.parametrize("tile", POINTS)
def test_tiles_of_every_size_are_used(tile):
    assert convolution._axis(tile, torch.float32).tile == tile


@pytest.mark.parametrize("way", WAYS)
def test_channels_stay_last_in_memory(way):
    images = random(2, 4, 6, 6).contiguous(memory_format=torch.channels_last)
    assert way(images, random(8, 4, 3, 3)).is_contiguous(memory_format=torch.channels_last)


@pytest.fixture
def taken(monkeypatch):
    """Name the other ways as they are taken."""
    names = []
    for way in WAYS:
        monkeypatch.setattr(
            convolution,
            way.__name__,
            lambda images, weight, way=way: names.append(way.__name__) or way(images, weight),
        )
    return names


def trained(*, stride: int = 1) -> Conv3x3:
    torch.manual_seed(0)
    return Conv3x3(64, 64, stride).train()


def test_training_in_float32_takes_winograds_way(taken):
    layer = trained()
    images = random(2, 64, 8, 8, dtype=torch.float32)
    expected = nn.Conv2d.forward(layer, images)
    torch.testing.assert_close(layer(images), expected, rtol=1e-4, atol=1e-5)
    assert taken == ["winograd"]


def test_training_in_bfloat16_unfolds_small_maps(taken):
    layer = trained()
    images = random(2, 64, 4, 4, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(images)
    assert output.dtype == torch.bfloat16
    assert relative_error(output, nn.Conv2d.forward(layer, images)) < 0.01
    assert taken == ["unfolded"]


@pytest.mark.parametrize(
    ("layer", "images"),
    [
        (trained().eval(), torch.rand(2, 64, 8, 8)),
        (trained(stride=2), torch.rand(2, 64, 8, 8)),
        (trained(), torch.rand(2, 64, 65, 4)),
        (Conv3x3(3, 64), torch.rand(2, 3, 8, 8)),
        (trained().double(), torch.rand(2, 64, 8, 8, dtype=torch.float64)),
    ],
    ids=["inference", "strides", "large maps", "few channels", "float64"],
)
def test_elsewhere_it_is_torchs_own(layer, images, taken):
    assert torch.equal(layer(images), nn.Conv2d.forward(layer, images))
    assert taken == []


def test_state_is_that_of_torchs_convolution():
    theirs = nn.Conv2d(4, 8, 3, padding=1, bias=False)
    ours = Conv3x3(4, 8)
    ours.load_state_dict(theirs.state_dict())
    images = random(2, 4, 6, 6, dtype=torch.float32)
    assert torch.equal(ours(images), theirs(images))


def test_a_compiler_sees_torchs_own(taken, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    trained()(random(2, 64, 8, 8, dtype=torch.float32))
    assert taken == []


@pytest.mark.parametrize("channels", [2, 6, 8, 16])
def test_a_1x1_convolution_is_pytorchs_and_its_gradient_leaves_memory_whole(channels):
    """Run in a process of its own: what is wrong here ends one."""
    script = f"""
import torch
from lookalike.backbones.convolution import Conv1x1
torch.manual_seed(0)
ours = Conv1x1({channels}, 2 * {channels}, stride=2)
theirs = torch.nn.Conv2d({channels}, 2 * {channels}, 1, 2, bias=False)
theirs.load_state_dict(ours.state_dict())
images = torch.rand(64, {channels}, 8, 8)
theirs(images).square().sum().backward()  # in memory as it comes, which is safe
ours.to(memory_format=torch.channels_last)
for _ in range(20):
    ours.zero_grad()
    last = images.contiguous(memory_format=torch.channels_last).requires_grad_()
    result = ours(last)
    result.square().sum().backward()
torch.testing.assert_close(result, theirs(images))
torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-3)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
