"""SoTeacher: the three terms one by one, and a memory that is a mean."""

import pytest
import torch
import torch.nn.functional as F

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.soteacher import SoTeacher, steepness
from lookalike.testing import check_method


def a_method(**arguments):
    torch.manual_seed(0)
    settings = {"class_count": 4, "image_count": 9, **arguments}
    return SoTeacher(build_backbone("small_conv", width=4), **settings)


def a_batch(seed=1):
    torch.manual_seed(seed)
    index = torch.tensor([3, 0, 8, 5])
    return Batch((torch.rand(4, 3, 16, 16),), torch.arange(4), index)


def test_it_keeps_the_contract():
    check_method(lambda backbone: SoTeacher(backbone, class_count=4, image_count=8))


def test_at_the_start_only_labels_and_smoothness_count():
    method, batch = a_method(lipschitz=0.01), a_batch()
    loss = method.eval()(batch).loss  # running averages, which steepness reads, stay as they are
    known = F.cross_entropy(method.embed(batch.views[0]), batch.labels) + 0.01 * steepness(method)
    torch.testing.assert_close(loss, known)


def test_the_memory_is_the_mean_of_all_that_was_said():
    method, seen = a_method(), []
    for number in range(3):
        batch = a_batch(seed=number)
        step = method(batch)
        seen.append(step.carry[0])
        method.after_step(step, (number + 1) / 4)
    torch.testing.assert_close(method.said[batch.index], torch.stack(seen).mean(0))
    assert method.times.tolist() == [3, 0, 0, 3, 0, 3, 0, 0, 3]


def test_what_is_said_is_held_to_the_memory_as_training_goes_on():
    method, batch = a_method(lipschitz=0.0, consistency=2.0), a_batch()
    method.after_step(method(a_batch(seed=4)), 0.5)
    logits = method.embed(batch.views[0])
    drift = F.mse_loss(logits.softmax(1), method.said[batch.index])
    known = F.cross_entropy(logits, batch.labels) + 2.0 * 0.5 * drift
    torch.testing.assert_close(method(batch).loss, known)


def test_steepness_is_a_sum_over_layers():
    torch.manual_seed(0)
    convolution, norm = torch.nn.Conv2d(1, 2, 2), torch.nn.BatchNorm2d(2)
    norm.running_var.copy_(torch.tensor([4.0, 1.0]))
    norm.weight.data.copy_(torch.tensor([-6.0, 2.0]))
    linear = torch.nn.Linear(2, 2)
    linear.weight.data.copy_(torch.tensor([[1.0, -2.0], [3.0, 0.5]]))
    whole = steepness(torch.nn.Sequential(convolution, norm, linear))
    known = convolution.weight.abs().sum() + 6 / (4 + 1e-5) ** 0.5 + 4
    torch.testing.assert_close(whole, known)


@pytest.mark.parametrize(
    "wrong", [{"image_count": 0}, {"lipschitz": -1.0}, {"consistency": -1.0}, {"mixup": True}]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
