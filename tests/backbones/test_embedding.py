"""A backbone with its head is a backbone, and is built again by name."""

import pytest
import torch

from lookalike.backbones.build import build_backbone
from lookalike.backbones.embedding import Embedding
from lookalike.inference import Encoder, load_encoder


def make(**arguments):
    return build_backbone("embedding", backbone="small_conv", width=4, **arguments)


def test_it_is_the_backbone_and_then_the_head():
    network = make(widths=(10, 6)).eval()
    images = torch.rand(3, 3, 16, 16)
    assert network.dim == 6
    assert network(images).equal(network.head(network.backbone(images)))


def test_hidden_layers_are_normalised_and_the_last_is_linear():
    kinds = [type(part).__name__ for part in make(widths=(10, 6)).head]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear"]


def test_a_saved_encoder_is_built_again_with_its_head(tmp_path):
    arguments = {"backbone": "small_conv", "widths": (6,), "width": 4}
    network = build_backbone("embedding", **arguments)
    encoder = Encoder(network, size=16, name="embedding", arguments=arguments)
    encoder.save(tmp_path)
    again = load_encoder(tmp_path, device="cpu")
    assert isinstance(again.backbone, Embedding)
    squares = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    assert again.represent(squares).equal(encoder.represent(squares))
    assert again.restarted(seed=1).dim == 6


@pytest.mark.parametrize(
    ("widths", "told"), [((), "two at least|at least two"), ((0,), "at least 1")]
)
def test_a_head_without_width_is_refused(widths, told):
    with pytest.raises((ValueError, IndexError), match=told):
        make(widths=widths)
