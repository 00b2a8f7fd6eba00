"""A run's method is built from its settings alone, and says what they do not fit."""

import pytest
import torch

from lookalike.errors import UsageError
from lookalike.training.building import build_method, load_method

CONFIG = {
    "method": "simclr",
    "method_arguments": {"out_dim": 5},
    "backbone": "small_conv",
    "backbone_arguments": {"width": 4},
}


def test_the_settings_reach_the_method_and_its_backbone():
    method = build_method(CONFIG)
    assert method.backbone.dim == 32
    assert method.embed(torch.rand(2, 3, 16, 16)).shape == (2, 5)


def test_an_argument_that_the_method_does_not_take_is_named():
    with pytest.raises(UsageError, match=r"--method simclr: .*sharpness"):
        build_method({**CONFIG, "method_arguments": {"sharpness": 1}})


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError):
        load_method(tmp_path)
