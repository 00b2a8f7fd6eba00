"""What a network may make is counted before it is made, by its sizes alone."""

import resource

import pytest
import torch
from torch import nn

from lookalike.backbones import allowance
from lookalike.backbones.allowance import Allowance
from lookalike.backbones.build import build_backbone
from lookalike.errors import UsageError


@pytest.fixture(autouse=True)
def _no_free_numbers(monkeypatch):
    monkeypatch.setattr(allowance, "FREE", 0)


@pytest.mark.parametrize(
    "make",
    [
        torch.empty,
        lambda n: torch.zeros(1, n),
        lambda n: torch.full((n,), 1.0),
        torch.randn,
        torch.arange,
        lambda n: torch.linspace(0, 1, n),
        torch.randperm,
        lambda n: nn.Linear(1, n, bias=False).weight,
    ],
)
def test_numbers_are_counted_to_the_last(make):
    with Allowance([(5, 2)]):  # 8 times its 10 numbers
        assert make(80).numel() == 80
    with Allowance([(10,)]), pytest.raises(UsageError, match="far larger than its weights, of 10"):
        make(81)
    with Allowance([(3,), (7,)]), pytest.raises(UsageError):
        _ = [make(30) for _ in range(3)]


def test_what_is_refused_takes_no_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Allowance([(10,)]), pytest.raises(UsageError):
        torch.ones(2**33)  # 32 GB, and all of it written to
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**17  # KB: 128 MB


def test_what_endless_loops_make_ends():
    made = []

    def go_on():
        while True:
            made.append(nn.Linear(10, 10))

    with Allowance([(1000,)]), pytest.raises(UsageError):
        go_on()
    assert len(made) == 8 * 1000 // 110


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("small_conv", {"width": 8}),
        ("resnet18", {}),
        ("patches", {}),
        ("embedding", {"backbone": "small_conv", "widths": (32,)}),
        ("timm/test_vit", {"img_size": 64}),
        ("timm/regnety_002", {}),
        ("timm/swin_tiny_patch4_window7_224", {"img_size": 64}),
        ("timm/mobilenetv3_small_100", {}),
    ],
)
def test_networks_are_built_within_it_and_as_without(monkeypatch, name, arguments):
    torch.manual_seed(0)
    wanted = build_backbone(name, **arguments).state_dict()
    monkeypatch.undo()
    torch.manual_seed(0)
    with Allowance([tensor.shape for tensor in wanted.values()]):
        found = build_backbone(name, **arguments).state_dict()
    assert all(torch.equal(found[key], tensor) for key, tensor in wanted.items())
