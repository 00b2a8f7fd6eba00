"""Feature distillation: every loss trains, a layer by name, and shapes that are made to meet."""

import pytest
import torch
from torch import nn

from lookalike.backbones.build import build_backbone
from lookalike.losses.fitnet import fitnet_loss
from lookalike.losses.rkd import rkd_loss
from lookalike.methods.base import Batch
from lookalike.methods.feature_distillation import FeatureDistillation
from lookalike.nn.teacher import Teacher
from lookalike.testing import check_method

FEATURES = (
    "fitnet",
    "attention_transfer",
    "nst",
    "vid",
    "rkd",
    "similarity_preserving",
    "pkt",
    "correlation_congruence",
    "crd",
)


class Network(nn.Module):
    """A classifier as a run has it: its representation is the layer `backbone`."""

    def __init__(self):
        super().__init__()
        self.backbone = build_backbone("small_conv", width=6)
        self.classifier = nn.Linear(48, 4)

    def forward(self, images):
        return self.classifier(self.backbone(images))


def a_teacher():
    torch.manual_seed(5)
    return Teacher(Network(), size=16)


def a_method(**arguments):
    torch.manual_seed(0)
    backbone = build_backbone("small_conv", width=4)
    return FeatureDistillation(backbone, (a_teacher(),), **arguments)


def a_batch():
    torch.manual_seed(1)
    return Batch((torch.rand(6, 3, 16, 16),), torch.arange(6) % 4, torch.arange(6))


@pytest.mark.parametrize("feature", FEATURES)
def test_every_loss_reaches_the_student_and_never_the_teacher(feature):
    method = a_method(feature=feature, label_weight=0.0)
    method(a_batch()).loss.backward()
    weight = method.backbone.layers[0].weight.grad
    assert bool(weight.isfinite().all())
    assert bool(weight.any())
    assert all(each.grad is None for each in method.teachers[0].network.parameters())


@pytest.mark.parametrize("feature", ["vid", "rkd"])
def test_it_keeps_the_contract(feature):
    check_method(lambda net: FeatureDistillation(net, (a_teacher(),), feature=feature))


def test_by_default_representations_are_compared():
    method, batch = a_method(feature_weight=3.0, label_weight=0.0), a_batch()
    with torch.no_grad():
        mine = method.backbone(batch.views[0])
        theirs = method.teachers[0].network.backbone(batch.views[0])
        torch.testing.assert_close(method(batch).loss, 3 * rkd_loss(mine, theirs))


def test_layers_go_by_name_and_an_adapter_brings_one_to_the_other():
    named = {"student_layer": "layers.5", "teacher_layer": "backbone.layers.8"}
    method, batch = a_method(feature="fitnet", label_weight=0.0, **named), a_batch()
    with torch.no_grad():
        mine = method.backbone.layers[:6](batch.views[0])  # (6, 8, 8, 8)
        theirs = method.teachers[0].network.backbone.layers[:9](batch.views[0])  # (6, 24, 4, 4)
        known = fitnet_loss(method.matching.adapter(mine), theirs)
        torch.testing.assert_close(method(batch).loss, known)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"student_layer": "layer.8"}, "Did you mean layers.8"),
        ({"feature": "rkd", "student_layer": "layers.8"}, r"rkd compares vectors \(D,\)"),
        ({"feature": "fitnet", "student_layer": "layers.8"}, "two vectors"),
        ({"feature": "vid", "teacher_layer": "nowhere"}, "no layer 'nowhere'"),
        ({"feature_weight": -1.0}, "feature_weight"),
    ],
)
def test_what_cannot_be_compared_is_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        a_method(**wrong)


def test_without_its_teacher_it_still_loads_and_classifies():
    alone = FeatureDistillation(build_backbone("small_conv", width=4), class_count=4)
    known = a_method().state_dict()
    alone.load_state_dict({name: known[name] for name in alone.state_dict()})
    assert alone.classify(a_batch().views[0]).shape == (6, 4)
