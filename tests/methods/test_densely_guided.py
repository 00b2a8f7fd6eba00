"""Densely guided distillation: each teacher by itself, and who is silent."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lookalike.backbones.build import build_backbone
from lookalike.losses.kd import kd_loss
from lookalike.methods.base import Batch
from lookalike.methods.densely_guided import DenselyGuided
from lookalike.nn.teacher import Teacher
from lookalike.testing import check_method


def a_teacher(seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 4))
    network[2].weight.data.mul_(20)
    return Teacher(network, size=16, name=f"teacher {seed}")


def a_method(count=3, **arguments):
    teachers = [a_teacher(seed) for seed in range(count)]
    torch.manual_seed(0)
    return DenselyGuided(build_backbone("small_conv", width=4), teachers, **arguments)


def a_batch(index=None):
    torch.manual_seed(1)
    index = torch.arange(6) if index is None else index
    return Batch((torch.rand(6, 3, 16, 16),), torch.arange(6) % 4, index)


def terms(method, batch):
    """Return the cross entropy, and the loss against each teacher alone."""
    with torch.no_grad():
        logits = method.embed(batch.views[0])
        taught = [kd_loss(logits, each(batch.views[0])) for each in method.teachers]
    return F.cross_entropy(logits, batch.labels), taught


@pytest.mark.parametrize("silent", [0, 1])
def test_it_keeps_the_contract(silent):
    teachers = [a_teacher(seed) for seed in range(2)]
    check_method(lambda backbone: DenselyGuided(backbone, teachers, silent=silent))


def test_every_teacher_counts_by_itself_and_labels_as_often():
    method, batch = a_method(label_weight=0.3, response_weight=0.7), a_batch()
    labels, taught = terms(method, batch)
    known = 3 * 0.3 * labels + 0.7 * sum(taught)
    torch.testing.assert_close(method(batch).loss.detach(), known)


def test_some_are_silent_and_in_turn_all_are():
    method = a_method(silent=1, label_weight=0.0, response_weight=1.0)
    heard = set()
    for number in range(40):
        batch = a_batch(index=torch.arange(6) + 7 * number)
        _, taught = terms(method, batch)
        loss = method(batch).loss.detach()
        close = [abs(float(loss - sum(taught) + each)) < 1e-4 for each in taught]
        assert sum(close) == 1  # all but one are heard
        heard.add(close.index(True))
        assert method(batch).loss.detach() == loss
    assert heard == {0, 1, 2}


@pytest.mark.parametrize("silent", [-1, 3])
def test_somebody_must_be_heard(silent):
    with pytest.raises(ValueError, match="silent must be"):
        a_method(silent=silent)
