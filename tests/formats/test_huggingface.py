"""timm reads the folder, and makes of a photo what the encoder makes of it."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform

from lookalike.errors import UsageError
from lookalike.formats.agreement import compare
from lookalike.formats.huggingface import FILES, read, write
from lookalike.formats.program import settled

HELD = [
    ("timm/test_resnet", 32, {}),
    ("timm/test_vit", 32, {"img_size": 32}),
    ("timm/mobilenetv3_small_050", 32, {"pretrained": False}),
    ("embedding", 32, {"backbone": "test_efficientnet", "widths": (8,)}),
    ("resnet18", 32, {"stem": "imagenet"}),
    ("embedding", 32, {"backbone": "resnet18", "stem": "imagenet", "widths": [8]}),
]


@pytest.mark.parametrize(("name", "size", "arguments"), HELD)
def test_timm_alone_makes_the_same_vectors(
    make_encoder, photos, least_cosine, tmp_path, name, size, arguments
):
    """Of square photos, prepared by timm's transform from the folder's config."""
    encoder = settled(make_encoder(name, size=size, **arguments))
    write(encoder, tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES
    model = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    transform = create_transform(**resolve_model_data_config(model))
    square = [photos[0], photos[6]]
    with torch.inference_mode():
        vectors = model(torch.stack([transform(Image.fromarray(photo)) for photo in square]))
    assert least_cosine(vectors.numpy(), encoder.encode(square)) >= 0.9999
    assert compare(encoder, read(tmp_path / "out"), photos) >= 0.9999


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("small_conv", {"width": 4}),
        ("resnet18", {"width": 4, "stem": "imagenet"}),
        ("resnet18", {"stem": "strided"}),
        ("embedding", {"backbone": "test_resnet", "widths": (16, 8)}),
        ("embedding", {"backbone": "drlim", "widths": (8,)}),
    ],
)
def test_what_timm_has_no_network_for_is_refused(make_encoder, tmp_path, name, arguments):
    encoder = make_encoder(name, size=32, **arguments)
    with pytest.raises(UsageError, match=r"timm has no network.*\n.*--to onnx"):
        write(encoder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_config_is_enough_to_train_on(make_encoder, tmp_path):
    """A new classifier on the folder's weights, as timm's users make it."""
    encoder = settled(make_encoder("timm/test_resnet", size=32))
    write(encoder, tmp_path / "out")
    source = f"local-dir:{tmp_path / 'out'}"
    model = timm.create_model(source, pretrained=True, num_classes=7).eval()
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    weights = encoder.backbone.model.state_dict()
    for name, tensor in weights.items():
        np.testing.assert_array_equal(model.state_dict()[name].numpy(), tensor.numpy())
