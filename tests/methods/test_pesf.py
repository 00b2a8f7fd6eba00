"""PESF-KD: plain distillation at first, then a teacher whose answers learn beside the student."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.distillation import Distillation
from lookalike.methods.pesf import PESF
from lookalike.nn.teacher import Teacher
from lookalike.testing import check_method


def a_teacher(seed=5):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 4))
    network[2].weight.data.mul_(20)
    return Teacher(network, size=16, name=f"teacher {seed}")


def a_method(make=PESF, **arguments):
    torch.manual_seed(0)
    return make(build_backbone("small_conv", width=4), [a_teacher()], **arguments)


def moved(method):
    """Return the method with an adapter that has learnt something."""
    torch.manual_seed(2)
    for parameter in method.adapter.parameters():
        nn.init.normal_(parameter, std=0.3)
    return method


def a_batch(labels=None):
    torch.manual_seed(1)
    labels = torch.arange(6) % 4 if labels is None else torch.tensor(labels)
    return Batch((torch.rand(6, 3, 16, 16),), labels, torch.arange(6))


def gradients(method, batch):
    method.zero_grad()
    method(batch).loss.backward()
    return {name: each.grad for name, each in method.named_parameters()}


@pytest.mark.parametrize("arguments", [{}, {"mixup": True, "until": 0.5}, {"adapter_weight": 0.0}])
def test_it_keeps_the_contract(arguments):
    check_method(lambda backbone: PESF(backbone, [a_teacher()], **arguments))


@pytest.mark.parametrize("mixup", [False, True])
def test_the_first_step_is_that_of_plain_distillation_to_the_bit(mixup):
    plain, ours = (a_method(make, mixup=mixup) for make in (Distillation, PESF))
    batch = a_batch()
    known, found = gradients(plain, batch), gradients(ours, batch)
    assert {name.partition(".")[0] for name in set(found) - set(known)} == {"adapter"}
    for name, gradient in known.items():
        assert gradient.equal(found[name]), name
    silent = a_method(mixup=mixup, adapter_weight=0.0)
    assert silent(batch).loss.equal(a_method(Distillation, mixup=mixup)(batch).loss)


def test_the_loss_is_that_of_the_student_and_that_of_the_adapted_answers():
    method = moved(
        a_method(temperature=3.0, response_weight=0.7, label_weight=0.2, adapter_weight=0.4)
    )
    batch = a_batch()
    with torch.no_grad():
        logits, said = method.embed(batch.views[0]), method.teachers[0](batch.views[0])
        first, _, second = method.adapter
        adapted = said + (said @ first.weight.T + first.bias).relu() @ second.weight.T + second.bias
    shares = (adapted / 3).softmax(1)
    apart = (shares * (shares.log() - (logits / 3).log_softmax(1))).sum(1).mean()
    known = 0.2 * F.cross_entropy(logits, batch.labels) + 0.7 * 9 * apart
    known = known + 0.4 * F.cross_entropy(adapted, batch.labels)
    torch.testing.assert_close(method(batch).loss.detach(), known)


def test_the_divergence_pulls_at_both_and_labels_at_the_adapter():
    """Each alone; what the adapter gets of the divergence is not what its labels give it."""
    batch = a_batch()
    apart = gradients(moved(a_method(label_weight=0.0, adapter_weight=0.0)), batch)
    right = gradients(moved(a_method(label_weight=0.0, response_weight=0.0)), batch)
    assert all(gradient.abs().sum() > 0 for gradient in apart.values())
    for name, gradient in right.items():
        assert (gradient.abs().sum() > 0) == name.startswith("adapter"), name
    assert not torch.allclose(apart["adapter.2.bias"], right["adapter.2.bias"])


def test_the_teacher_stands_still():
    method, batch = a_method(), a_batch()
    before = method.teachers[0](batch.views[0])
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        method(batch).loss.backward()
        optimizer.step()
    assert method.adapter[2].weight.abs().sum() > 0
    assert method.teachers[0](batch.views[0]).equal(before)
    assert all(each.grad is None for each in method.teachers[0].network.parameters())


def test_answers_that_learn_from_the_student_alone_give_in():
    """Without labels the adapter comes to say what the student says; with them it stays apart."""
    left = {}
    for weight in (0.0, 10.0):
        method, batch = a_method(adapter_weight=weight, label_weight=0.0).eval(), a_batch()
        optimizer = torch.optim.Adam(method.adapter.parameters(), lr=0.03)
        for _ in range(150):
            optimizer.zero_grad()
            method(batch).loss.backward()
            optimizer.step()
        with torch.no_grad():
            said = method.teachers[0](batch.views[0])
            adapted, logits = said + method.adapter(said), method.embed(batch.views[0])
            both = ((each / 4).log_softmax(1) for each in (logits, adapted))
            left[weight] = float(F.kl_div(*both, log_target=True, reduction="batchmean"))
    assert left[0.0] < 1e-2 * left[10.0]


def test_images_without_a_label_move_the_adapter_by_the_student_alone():
    batch = a_batch([-1] * 6)
    known = gradients(moved(a_method(adapter_weight=0.0)), batch)
    for name, gradient in gradients(moved(a_method(adapter_weight=3.0)), batch).items():
        torch.testing.assert_close(gradient, known[name])


def test_the_adapter_is_part_of_the_state_and_the_teacher_is_not():
    method = moved(a_method())
    alone = PESF(build_backbone("small_conv", width=4), class_count=4)
    alone.load_state_dict(method.state_dict())
    images = a_batch().views[0]
    torch.testing.assert_close(alone.classify(images), method.classify(images))


@pytest.mark.parametrize(
    "wrong", [{"response": "dkd"}, {"adapter_weight": -1.0}, {"adapter_dim": 0}]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
