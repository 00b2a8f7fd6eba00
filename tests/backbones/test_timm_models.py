"""timm's models come without their classifier, and say how wide their output is."""

from __future__ import annotations

import pytest
import timm
import torch

from lookalike.backbones.timm_models import timm_model
from lookalike.errors import UsageError

SMALL = ["mobilenetv3_small_050", "resnet10t", "vit_tiny_patch16_224"]
"""A head that widens, a plain ResNet, a transformer."""


@pytest.mark.parametrize("name", SMALL)
def test_dim_is_the_width_of_the_representation(name):
    network = timm_model(name).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 224, 224)).shape == (1, network.dim)


def test_output_is_timms_before_its_classifier():
    ours = timm_model("resnet10t").eval()
    theirs = timm.create_model("resnet10t").eval()
    theirs.load_state_dict(ours.model.state_dict(), strict=False)
    images = torch.rand(2, 3, 64, 64)
    expected = theirs.forward_head(theirs.forward_features(images), pre_logits=True)
    torch.testing.assert_close(ours(images), expected)


def test_arguments_reach_timm():
    network = timm_model("vit_tiny_patch16_224", img_size=32)
    assert network(torch.rand(1, 3, 32, 32)).shape == (1, network.dim)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UsageError, match=r"no backbone 'resnet10x'.*Did you mean resnet10t"):
        timm_model("resnet10x")


def test_an_unknown_argument_is_named():
    with pytest.raises(UsageError, match=r"timm cannot build 'resnet10t' so: .*'wings'"):
        timm_model("resnet10t", wings=2)


def test_weights_that_cannot_be_had_are_said_to_be_so(monkeypatch):
    def offline(*_args, **_arguments):
        raise OSError("no route to the hub\nand many lines more")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UsageError, match=r"weights of 'resnet10t' .* no route to the hub\nfix: "):
        timm_model("resnet10t", pretrained=True)
