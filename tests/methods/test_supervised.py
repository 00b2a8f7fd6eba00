"""Classification: its losses against PyTorch's own, and what mixing images comes to."""

import pytest
import torch
import torch.nn.functional as F

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.supervised import Supervised
from lookalike.testing import check_method


def a_method(**arguments):
    torch.manual_seed(0)
    return Supervised(build_backbone("small_conv", width=4), **{"class_count": 4, **arguments})


def a_batch():
    torch.manual_seed(1)
    return Batch((torch.rand(6, 3, 16, 16),), torch.arange(6) % 4, torch.arange(6))


@pytest.mark.parametrize(
    "arguments", [{}, {"objective": "squared_error"}, {"label_smoothing": 0.1}, {"mixup": True}]
)
def test_it_keeps_the_contract(arguments):
    check_method(lambda backbone: Supervised(backbone, class_count=4, **arguments))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_is_pytorchs(smoothing):
    method, batch = a_method(label_smoothing=smoothing), a_batch()
    logits = method.embed(batch.views[0])
    known = F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
    torch.testing.assert_close(method(batch).loss, known)


def test_the_squared_error_is_that_of_probabilities_summed_over_classes():
    method, batch = a_method(objective="squared_error"), a_batch()
    shares = method.embed(batch.views[0]).softmax(1)
    total = 0.0
    for row, label in zip(shares, batch.labels.tolist(), strict=True):
        total += sum((share - float(k == label)) ** 2 for k, share in enumerate(row.tolist()))
    torch.testing.assert_close(method(batch).loss, torch.tensor(total / 6))


def test_a_mixture_with_itself_is_no_mixture():
    method, batch = a_method(mixup=True), a_batch()
    alike = Batch((batch.views[0][:1].expand(6, -1, -1, -1),), torch.zeros(6).long(), batch.index)
    logits = method.embed(alike.views[0])
    torch.testing.assert_close(method(alike).loss, F.cross_entropy(logits, alike.labels))


def test_it_says_what_share_was_right():
    method, batch = a_method(), a_batch()
    guesses = method.embed(batch.views[0]).argmax(1)
    assert method(batch).logs["right"] == (guesses == batch.labels).float().mean()


def test_outputs_are_as_many_as_classes():
    assert Supervised.fit(100, 7)["class_count"][0] == 7
    assert a_method(class_count=7).classify(a_batch().views[0]).shape == (6, 7)


@pytest.mark.parametrize(
    "wrong", [{"class_count": 1}, {"label_smoothing": 1.5}, {"objective": "hinge"}]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
