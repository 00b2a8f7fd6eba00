"""What every method gets from its base: the way from images to the loss, stage by stage."""

import pytest
import torch
from torch import nn

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Method, Step
from lookalike.nn.heads import mlp

IMAGES = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Bare(Method):
    def forward(self, batch):
        return Step(self.embed(batch.views[0]).sum())


class Predicts(Bare):
    def __init__(self, backbone):
        super().__init__(backbone)
        self.projector = mlp(backbone.dim, 7, 6)
        self.predictor = mlp(6, 3, 6)


class Classifies(Bare):
    heads = ("absent", "classifier")

    def __init__(self, backbone):
        super().__init__(backbone)
        self.classifier = nn.Sequential(
            nn.Hardtanh(-1e-3, 1e-3, inplace=True), nn.Linear(backbone.dim, 2)
        )


def a_method(kind):
    torch.manual_seed(0)
    return kind(build_backbone("small_conv", width=4)).eval()


@pytest.mark.parametrize(
    ("kind", "widths"),
    [
        (Bare, {"backbone": 32}),
        (
            Predicts,
            {
                "backbone": 32,
                "projector 1": 7,
                "projector 2": 6,
                "predictor 1": 3,
                "predictor 2": 6,
            },
        ),
        (Classifies, {"backbone": 32, "classifier 1": 2}),
    ],
)
def test_stages_go_through_the_heads_that_there_are(kind, widths):
    stages = a_method(kind).stages(IMAGES)
    assert {name: vectors.shape[1] for name, vectors in stages.items()} == widths
    assert list(stages) == list(widths)


def test_stages_are_what_the_heads_return():
    method = a_method(Predicts)
    stages = method.stages(IMAGES)
    projections = method.projector(method.backbone(IMAGES))
    torch.testing.assert_close(stages["projector 2"], projections)
    torch.testing.assert_close(stages["predictor 2"], method.predictor(projections))


def test_a_layer_in_place_leaves_the_stage_before_alone():
    method = a_method(Classifies)
    stages = method.stages(IMAGES)
    torch.testing.assert_close(stages["backbone"], method.backbone(IMAGES))
    assert stages["backbone"].abs().max() > 1e-3
