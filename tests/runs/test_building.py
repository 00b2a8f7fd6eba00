"""A run's method is built from its settings alone, and says what they do not fit."""

import pytest
import torch

from lookalike.backbones.build import build_backbone
from lookalike.errors import UsageError
from lookalike.runs.building import build_method, load_method, start_from
from lookalike.runs.job import train

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


def test_a_training_may_start_in_the_middle_of_a_head(tmp_path):
    run = train(
        "hands",
        out=tmp_path / "run",
        backbone="small_conv",
        backbone_arguments={"width": 2},
        method_arguments={"layers": 3, "hidden_dim": 24},
        limit=64,
        size=16,
        epochs=1,
        evaluate=False,
        quiet=True,
    )
    images = torch.rand(3, 3, 16, 16)
    method = load_method(run.path).eval()
    for number in (1, 2):
        start = start_from(run.path, layer=f"projector {number}")
        start.backbone.eval()
        known = method.stages(images)[f"projector {number}"]
        torch.testing.assert_close(start.backbone(images), known)
        again = build_backbone(start.name, **start.arguments).eval()
        again.load_state_dict(start.backbone.state_dict())
        torch.testing.assert_close(again(images), known)
    for wrong in ("projector 3", "projector 0", "predictor 1", "backbone"):
        with pytest.raises(UsageError, match=r"fix: projector 1 \| projector 2"):
            start_from(run.path, layer=wrong)
    tuned = train(
        "hands",
        out=tmp_path / "tuned",
        method="supervised",
        from_=run.path,
        from_layer="projector 1",
        limit=64,
        epochs=1,
        evaluate=False,
        quiet=True,
    )
    assert tuned.config["backbone"] == "embedding"
    assert load_method(tuned.path).classifier.in_features == 24
