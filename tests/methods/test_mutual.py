"""Mutual learning: each peer's loss by itself, and no gradient between them."""

import pytest
import torch
import torch.nn.functional as F

from lookalike.backbones.build import build_backbone
from lookalike.losses.kd import kd_loss
from lookalike.methods.base import Batch
from lookalike.methods.mutual import Mutual
from lookalike.testing import check_method


def a_method(**arguments):
    torch.manual_seed(0)
    return Mutual(build_backbone("small_conv", width=4), **{"class_count": 4, **arguments})


def a_batch():
    torch.manual_seed(1)
    return Batch((torch.rand(6, 3, 16, 16),), torch.arange(6) % 4, torch.arange(6))


def answers(method, batch):
    return [method.embed(batch.views[0]), *(peer(batch.views[0]) for peer in method.others)]


@pytest.mark.parametrize("arguments", [{}, {"peers": 3, "ensemble": True, "temperature": 2.0}])
def test_it_keeps_the_contract(arguments):
    check_method(lambda backbone: Mutual(backbone, class_count=4, **arguments))


def test_each_learns_from_labels_and_from_each_of_the_others():
    method, batch = a_method(peers=3), a_batch()
    said, total = answers(method, batch), 0.0
    for number, mine in enumerate(said):
        others = [
            kd_loss(mine, each, temperature=1.0) for k, each in enumerate(said) if k != number
        ]
        total += F.cross_entropy(mine, batch.labels) + sum(others) / 2
    torch.testing.assert_close(method(batch).loss, total)


def test_in_an_ensemble_each_learns_from_the_mean_of_the_others():
    method, batch = a_method(peers=3, ensemble=True), a_batch()
    said, total = answers(method, batch), 0.0
    for number, mine in enumerate(said):
        mean = sum(each.softmax(1) for k, each in enumerate(said) if k != number) / 2
        divergence = (mean * (mean.log() - mine.log_softmax(1))).sum(1).mean()
        total += F.cross_entropy(mine, batch.labels) + divergence
    torch.testing.assert_close(method(batch).loss, total)


def test_what_one_peer_learns_moves_no_other():
    method, batch = a_method(), a_batch()
    first, second = answers(method, batch)
    (kd_loss(first, second, temperature=1.0)).backward()
    assert all(each.grad is None for each in method.others.parameters())


def test_peers_begin_apart_and_those_that_are_one_stay_one():
    method, batch = a_method(), a_batch()
    first, second = answers(method, batch)
    assert not torch.allclose(first, second)
    twins = a_method()
    whole = torch.nn.Sequential(twins.backbone, twins.classifier)
    twins.others[0].load_state_dict(whole.state_dict())
    torch.testing.assert_close(twins(batch).loss, 2 * F.cross_entropy(first, batch.labels))


@pytest.mark.parametrize("wrong", [{"peers": 1}, {"class_count": 1}, {"temperature": 0.0}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
