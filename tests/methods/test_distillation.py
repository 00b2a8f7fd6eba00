"""Distillation: what is learnt from labels and teachers, in closed form."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lookalike.backbones.build import build_backbone
from lookalike.losses.dkd import dkd_loss
from lookalike.losses.kd import kd_loss
from lookalike.methods.base import Batch
from lookalike.methods.distillation import Distillation
from lookalike.nn.mixup import mix
from lookalike.nn.teacher import Teacher
from lookalike.testing import check_method


def a_teacher(seed=5, classes=4):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))
    network[2].weight.data.mul_(20)  # answers that are far from even
    return Teacher(network, size=16, name=f"teacher {seed}")


def a_method(*teachers, **arguments):
    torch.manual_seed(0)
    return Distillation(
        build_backbone("small_conv", width=4), teachers or (a_teacher(),), **arguments
    )


def a_batch(labels=None):
    torch.manual_seed(1)
    labels = torch.arange(6) % 4 if labels is None else torch.tensor(labels)
    return Batch((torch.rand(6, 3, 16, 16),), labels, torch.arange(6))


def parts(method, batch):
    """Return the student's logits and each teacher's, as forward sees them."""
    with torch.no_grad():
        return method.embed(batch.views[0]), [each(batch.views[0]) for each in method.teachers]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"response": "dkd", "mixup": True},
        {"response": "dist"},
        {"response": "logit_mse", "until": 0.5},
        {"response": "none", "label_weight": 1.0},
    ],
)
def test_it_keeps_the_contract(arguments):
    check_method(lambda backbone: Distillation(backbone, [a_teacher()], **arguments))


def test_the_loss_is_a_weighted_sum_of_labels_and_softened_answers():
    method, batch = a_method(temperature=3.0, response_weight=0.7, label_weight=0.2), a_batch()
    logits, (said,) = parts(method, batch)
    known = 0.2 * F.cross_entropy(logits, batch.labels) + 0.7 * kd_loss(
        logits, said, temperature=3.0
    )
    torch.testing.assert_close(method(batch).loss, known)


def test_teacher_and_student_see_the_same_mixture():
    """Function matching, arXiv:2106.05237: one view, mixed once, for both."""
    method, batch, seen = a_method(mixup=True), a_batch(), []
    networks = (method.backbone, method.teachers[0].network)
    for network in networks:
        network.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    method(batch)
    student, teacher = seen
    assert teacher.equal(student)
    mixed, _ = mix(batch.views[0], torch.eye(6), batch.index)
    assert student.equal(mixed)
    assert not student.allclose(batch.views[0])


def test_several_teachers_count_as_one_whose_probabilities_are_the_mean():
    method, batch = (
        a_method(a_teacher(1), a_teacher(2), label_weight=0.0, response_weight=1.0),
        a_batch(),
    )
    logits, said = parts(method, batch)
    mean = sum((each / 4).softmax(1) for each in said) / 2
    terms = mean * (mean.log() - (logits / 4).log_softmax(1))
    torch.testing.assert_close(method(batch).loss, 16 * terms.sum(1).mean())


def test_images_without_a_label_are_learnt_from_the_teacher_alone():
    method, some = a_method(response_weight=0.0, label_weight=1.0), a_batch([1, -1, -1, 2, -1, -1])
    logits, _ = parts(method, some)
    known = F.cross_entropy(logits, some.labels, ignore_index=-1, reduction="sum") / 6
    torch.testing.assert_close(method(some).loss, known)
    unlabelled = a_batch([-1] * 6)
    assert a_method(label_weight=1.0, response_weight=0.0)(unlabelled).loss == 0


def test_dkd_takes_the_teachers_word_where_it_knows_no_label():
    method, batch = (
        a_method(response="dkd", label_weight=0.0, response_weight=1.0),
        a_batch([-1] * 6),
    )
    logits, (said,) = parts(method, batch)
    known = dkd_loss(logits, said, said.argmax(1), temperature=4.0)
    torch.testing.assert_close(method(batch).loss, known)


def test_after_its_share_of_training_the_teacher_is_no_longer_heard():
    method, batch = a_method(until=0.5, label_weight=0.25, response_weight=0.75), a_batch()
    logits, (said,) = parts(method, batch)
    heard = method(batch)
    taught = 0.75 * kd_loss(logits, said, temperature=4.0)
    torch.testing.assert_close(heard.loss, 0.25 * heard.logs["from_labels"] + taught)
    method.after_step(heard, 0.5)
    alone = method(batch)  # labels take over the weight of the answers
    torch.testing.assert_close(alone.loss.detach(), alone.logs["from_labels"])


def test_a_student_that_is_the_teacher_agrees_and_has_nothing_to_learn():
    torch.manual_seed(0)
    student = Distillation(build_backbone("small_conv", width=4), (a_teacher(),)).eval()

    class Same(nn.Module):
        def forward(self, images):
            return student.embed(images)

    twin = Teacher(Same(), size=16)
    twin.width = lambda: 4
    copy = Distillation(student.backbone, (twin,), label_weight=0.0)
    copy.classifier = student.classifier
    step = copy.eval()(a_batch())
    torch.testing.assert_close(step.loss, torch.zeros(()), atol=1e-6, rtol=0)
    assert step.logs["agreement"] == 1


def test_the_teacher_is_no_part_of_the_state_and_not_needed_to_load_it():
    method = a_method()
    assert not any(name.startswith("teachers") for name in method.state_dict())
    alone = Distillation(build_backbone("small_conv", width=4), class_count=4)
    alone.load_state_dict(method.state_dict())
    batch = a_batch()
    torch.testing.assert_close(alone.classify(batch.views[0]), method.classify(batch.views[0]))


def test_classes_must_agree():
    with pytest.raises(ValueError, match="must be 4, what teacher 5 tells apart, got 7"):
        a_method(class_count=7)
    with pytest.raises(ValueError, match="same classes"):
        a_method(a_teacher(1), a_teacher(2, classes=3))
    with pytest.raises(ValueError, match="class_count"):
        Distillation(build_backbone("small_conv", width=4))


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"until": 1.5}, {"response_weight": -1.0}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)


@pytest.mark.parametrize("response", ["kd", "dkd"])
def test_answers_may_be_standardised_first(response):
    """A teacher whose logits are three times as wide then teaches the same."""
    method = a_method(response=response, standardise=True, label_weight=0.0, temperature=2.0)
    batch = a_batch()
    logits, (said,) = parts(method, batch)
    labels = (batch.labels,) if response == "dkd" else ()
    loss = {"kd": kd_loss, "dkd": dkd_loss}[response]
    want = 0.9 * loss(logits, said, *labels, temperature=2.0, standardise=True)
    torch.testing.assert_close(method(batch).loss, want)
    method.teachers[0].network[2].weight.data.mul_(3)
    method.teachers[0].network[2].bias.data.mul_(3)
    torch.testing.assert_close(method(batch).loss, want)


def test_other_answers_are_not_standardised():
    with pytest.raises(ValueError, match="standardise must be False with response dist, got True"):
        a_method(response="dist", standardise=True)
