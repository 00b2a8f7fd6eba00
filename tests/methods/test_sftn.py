"""SFTN: the three terms in closed form, whom each of them moves, and what is kept at the end."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lookalike.backbones.base import Backbone
from lookalike.backbones.build import build_backbone
from lookalike.checkpoint import load_checkpoint
from lookalike.errors import UsageError
from lookalike.inference import load_encoder
from lookalike.methods.base import Batch
from lookalike.methods.distillation import Distillation
from lookalike.methods.sftn import SFTN
from lookalike.methods.supervised import Supervised
from lookalike.runs.building import load_method
from lookalike.runs.job import train
from lookalike.runs.teachers import load_teachers
from lookalike.testing import check_method

STUDENT = {"student": "small_conv", "student_arguments": {"width": 2}}
WEIGHTS = {"label_weight": 1.0, "divergence_weight": 3.0, "branch_label_weight": 1.0}


def a_method(backbone="small_conv", **arguments):
    torch.manual_seed(0)
    return SFTN(build_backbone(backbone, width=4), **{"class_count": 4, **STUDENT, **arguments})


def a_batch():
    torch.manual_seed(1)
    return Batch((torch.rand(6, 3, 16, 16),), torch.arange(6) % 4, torch.arange(6))


def said(method, batch):
    """Return the teacher's logits and its branches', by going through them layer by layer."""
    maps = method.backbone.stages(batch.views[0])
    branches = []
    for stage, branch in enumerate(method.branches, 1):
        x = maps[stage - 1]
        for layer in (layer for layer in branch.modules() if not list(layer.children())):
            x = layer(x)
        branches.append(x)
    return method.embed(batch.views[0]), branches


def moves(batch, **weights):
    """Return the names of the parameters that a loss of these weights gives a gradient."""
    method = a_method(**{**dict.fromkeys(WEIGHTS, 0.0), **weights})
    method(batch).loss.backward()
    return {name for name, each in method.named_parameters() if each.grad.abs().sum() > 0}


@pytest.mark.parametrize(
    ("teacher", "arguments"),
    [
        ("small_conv", {"objective": "squared_error"}),
        ("small_conv", {"mixup": True, "temperature": 2.0}),
        ("resnet18", {}),
    ],
)
def test_it_keeps_the_contract(teacher, arguments):
    check_method(lambda _: a_method(teacher, **arguments))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_loss_is_the_weighted_sum_of_three_terms(temperature):
    weights = {"label_weight": 0.5, "divergence_weight": 2.0, "branch_label_weight": 0.3}
    method, batch = a_method(temperature=temperature, **weights).eval(), a_batch()
    teacher, branches = said(method, batch)
    assert len(branches) == 3
    apart = fitted = 0.0
    for logits in branches:
        fitted += F.cross_entropy(logits, batch.labels).item() / 3
        for ours, theirs in zip(logits.detach(), teacher.detach(), strict=True):
            q, p = ((each / temperature).softmax(0) for each in (ours, theirs))
            pairs = zip(q.tolist(), (q / p).log().tolist(), strict=True)
            apart += temperature**2 * sum(share * ratio for share, ratio in pairs) / 6 / 3
    step = method(batch)
    known = 0.5 * F.cross_entropy(teacher, batch.labels) + 2.0 * apart + 0.3 * fitted
    torch.testing.assert_close(step.loss, known)
    torch.testing.assert_close(step.logs["divergence"], torch.tensor(apart))


def test_the_weights_are_the_papers():
    batch = a_batch()
    terms = {
        name: a_method(**{**dict.fromkeys(WEIGHTS, 0.0), name: 1.0})(batch).loss for name in WEIGHTS
    }
    known = sum(weight * terms[name] for name, weight in WEIGHTS.items())
    torch.testing.assert_close(a_method()(batch).loss, known)


def test_each_term_moves_those_that_it_is_about():
    batch = a_batch()
    everything = {name for name, _ in a_method().named_parameters()}
    branches = {name for name in everything if name.startswith("branches")}
    after = ("backbone.layers.9", "backbone.layers.10")  # the last stage
    last = {name for name in everything if name.startswith(after)}
    top = last | {"classifier.weight", "classifier.bias"}
    assert len(last) == 3
    assert moves(batch, label_weight=1.0) == everything - branches
    assert moves(batch, branch_label_weight=1.0) == everything - top
    assert moves(batch, divergence_weight=1.0) == everything


def test_the_divergence_brings_the_teacher_to_its_branches():
    """A step down that term alone, of the teacher alone: the branches stand still."""
    method, batch = a_method(label_weight=0.0, branch_label_weight=0.0).eval(), a_batch()
    before = method(batch)
    before.loss.backward()
    with torch.no_grad():
        for parameter in method.classifier.parameters():
            parameter.sub_(parameter.grad, alpha=0.1)
    assert method(batch).logs["divergence"] < before.logs["divergence"]


def test_branches_are_what_the_student_has_left_each_with_weights_of_its_own():
    method, student = a_method("resnet18"), build_backbone("small_conv", width=2)
    for stage, branch in enumerate(method.branches, 1):
        lead, rest, answer = branch
        assert lead[0].weight.shape == (2 << (stage - 1), method.backbone.widths[stage - 1], 1, 1)
        shapes = [each.shape for each in student.after(stage).parameters()]
        assert [each.shape for each in rest.parameters()] == shapes
        assert answer.weight.shape == (4, 16)
    parameters = [id(each) for branch in method.branches for each in branch.parameters()]
    assert len(parameters) == len(set(parameters))
    convolutions = [branch[1][-5].weight for branch in method.branches]
    assert not convolutions[0].equal(convolutions[1])


def test_without_branches_in_the_loss_it_is_classification():
    method, batch = a_method(divergence_weight=0.0, branch_label_weight=0.0), a_batch()
    torch.manual_seed(0)
    plain = Supervised(build_backbone("small_conv", width=4), class_count=4)
    torch.testing.assert_close(method(batch).loss, plain(batch).loss)


def test_a_run_keeps_the_teacher_and_its_checkpoint_the_branches(tmp_path):
    run = train(
        "hands",
        out=tmp_path / "run",
        method="sftn",
        student="small_conv",
        student_arguments={"width": 2},
        backbone_arguments={"width": 3},
        limit=64,
        size=16,
        epochs=1,
        evaluate=False,
        quiet=True,
    )
    encoder, method = load_encoder(run.path), load_method(run.path)
    assert encoder.backbone.state_dict().keys() == build_backbone("small_conv").state_dict().keys()
    for name, tensor in encoder.backbone.state_dict().items():
        assert tensor.equal(method.backbone.state_dict()[name]), name
    saved = load_checkpoint(run.path / "checkpoints").state["method"]
    assert any(name.startswith("branches.2.") for name in saved)
    assert all(tensor.equal(saved[name]) for name, tensor in method.state_dict().items())
    (teacher,) = load_teachers([run.path], method=Distillation, download=False).teachers
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(teacher(images), method.eval().classify(images))


class Whole(Backbone):
    """A backbone that shows no stages."""

    def __init__(self, dim=8):
        super().__init__(dim=dim)
        self.layer = nn.Linear(3, dim)

    def forward(self, images):
        return self.layer(images.mean((2, 3)))


class Short(Whole):
    """One of two stages."""

    widths = (3, 8)

    def stages(self, images):
        return images, self.layer(images.mean((2, 3)))[:, :, None, None]

    def after(self, stage):
        return nn.Identity()


def test_what_has_no_stages_is_told_so():
    with pytest.raises(ValueError, match=r"backbone must be of several stages.*got Whole"):
        SFTN(Whole(), class_count=4)
    with pytest.raises(ValueError, match=r"student must be of several stages.*got Patches"):
        a_method(student="patches", student_arguments={})
    with pytest.raises(ValueError, match="as many stages as the backbone, 2, got the 4 of small"):
        SFTN(Short(), class_count=4, **STUDENT)
    with pytest.raises(UsageError, match="unexpected"):
        a_method(student_arguments={"depth": 2})


@pytest.mark.parametrize("wrong", [*WEIGHTS, "temperature"])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=wrong):
        a_method(**{wrong: -1.0})
