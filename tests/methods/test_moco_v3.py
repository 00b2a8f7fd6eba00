"""The properties of the specification, section 4."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lookalike.backbones.base import Backbone
from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch, Step
from lookalike.methods.moco_v3 import MoCoV3


def a_method(backbone=None, **arguments):
    torch.manual_seed(0)
    return MoCoV3(backbone or build_backbone("small_conv", width=4), **arguments)


def a_batch(count=6):
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(2))
    return Batch(views, torch.arange(count), torch.arange(count))


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_the_loss_is_the_papers_both_ways(temperature):
    method, batch = a_method(temperature=temperature), a_batch()
    want = 0
    for online, slow in (batch.views, batch.views[::-1]):
        q = F.normalize(method.predictor(method.embed(online)), dim=1)
        k = F.normalize(method.target(slow), dim=1)
        logits = q @ k.T / temperature
        want = want + 2 * temperature * F.cross_entropy(logits, torch.arange(6))
    torch.testing.assert_close(method(batch).loss, want)


def test_keys_that_say_nothing_cost_two_t_log_b_each_way():
    method = a_method(temperature=0.4)
    nn.init.zeros_(method.predictor[-1].weight)
    assert method(a_batch()).loss.item() == pytest.approx(2 * 2 * 0.4 * math.log(6), rel=1e-5)


def test_views_may_be_exchanged():
    method, batch = a_method(), a_batch()
    other = batch._replace(views=batch.views[::-1])
    torch.testing.assert_close(method(batch).loss, method(other).loss)


def test_the_slow_copy_gets_no_gradient_and_stands_still_in_the_end():
    method = a_method()
    method(a_batch()).loss.backward()
    assert all(each.grad is None for each in method.target.parameters())
    before = [each.clone() for each in method.target.parameters()]
    with torch.no_grad():
        for parameter in method.backbone.parameters():
            parameter.add_(1)
    method.after_step(Step(torch.zeros(())), 1.0)
    for now, then in zip(method.target.parameters(), before, strict=True):
        assert now.equal(then)


class Transformer(Backbone):
    def __init__(self):
        super().__init__(dim=8)
        self.patch_embed = nn.Conv2d(3, 8, 4, stride=4)
        self.block = nn.Linear(8, 8)

    def forward(self, images):
        return self.block(self.patch_embed(images).mean(dim=(2, 3)))


@pytest.mark.parametrize("freeze", [True, False])
def test_a_transformers_patches_stay_as_they_were_drawn(freeze):
    method = a_method(Transformer(), freeze_patches=freeze)
    trained = {n for n, p in method.named_parameters() if p.requires_grad}
    assert ("backbone.patch_embed.weight" in trained) != freeze
    assert "backbone.block.weight" in trained


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"decay": 2}, {"layers": 0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
