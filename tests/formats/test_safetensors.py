"""A folder of weights is an encoder again."""

from __future__ import annotations

import json

import numpy as np
import safetensors.numpy

import lookalike
from lookalike.formats.safetensors import FILES, read, write


def test_a_folder_is_the_encoder_again(encoder, photos, tmp_path):
    write(encoder, tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES
    wanted = encoder.encode(photos[0])
    np.testing.assert_array_equal(read(tmp_path / "out")(photos[0][None]), wanted)
    again = lookalike.load(tmp_path / "out", device="cpu")
    np.testing.assert_array_equal(again.encode(photos[0]), wanted)


def test_weights_and_how_to_build_need_no_torch_to_be_read(encoder, tmp_path):
    write(encoder, tmp_path / "out")
    weights = safetensors.numpy.load_file(tmp_path / "out/model.safetensors")
    for name, tensor in encoder.backbone.state_dict().items():
        np.testing.assert_array_equal(weights[name], tensor.numpy())
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["backbone"], config["backbone_arguments"]) == ("small_conv", {"width": 4})
