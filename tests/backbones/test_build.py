"""A backbone's name is ours, timm's or the user's."""

from __future__ import annotations

import pytest

from lookalike.backbones.build import build_backbone
from lookalike.backbones.resnet import ResNet
from lookalike.backbones.small import SmallConv
from lookalike.backbones.timm_models import TimmModel
from lookalike.errors import UsageError

OWN = """
from torch import nn
from lookalike.backbones.base import Backbone

class Flat(Backbone):
    def __init__(self, *, side: int = 2) -> None:
        super().__init__(dim=3 * side**2)

    def forward(self, images):
        return images.flatten(1)

class Plain(nn.Module):
    pass
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


def test_ours_come_first():
    assert isinstance(build_backbone("resnet18", width=4), ResNet)
    assert isinstance(build_backbone("small-conv", width=4), SmallConv)


@pytest.mark.parametrize("name", ["timm/resnet18", "resnet10t"])
def test_the_rest_are_timms(name):
    assert isinstance(build_backbone(name), TimmModel)


def test_ones_own_gets_its_arguments(own):
    assert build_backbone(f"{own}:Flat", side=4).dim == 48


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resnet19", {}, "no backbone 'resnet19', here or in timm. Did you mean resnet1"),
        ("resnet18", {"wide": 4}, "backbone resnet18: .* 'wide'"),
        ("nowhere.py:Net", {}, "there is no file nowhere.py"),
    ],
)
def test_what_cannot_be_built_is_said_to_be_so(name, arguments, message):
    with pytest.raises(UsageError, match=message):
        build_backbone(name, **arguments)


def test_ones_own_must_be_a_backbone(own):
    with pytest.raises(UsageError, match="must be a lookalike Backbone, got Plain"):
        build_backbone(f"{own}:Plain")
