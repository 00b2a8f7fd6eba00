"""B1 to B6 of the property catalogue."""

import pytest
import torch
from torch.nn import functional as F

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch, Step
from lookalike.methods.byol import BYOL
from lookalike.nn.ema import cosine_decay


def a_method(**arguments):
    torch.manual_seed(0)
    return BYOL(build_backbone("small_conv", width=4), **arguments)


def a_batch(count=6):
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(2))
    return Batch(views, torch.arange(count), torch.arange(count))


def test_the_loss_is_the_squared_distance_both_ways():
    """B1, B5."""
    method, batch = a_method(), a_batch()
    want = 0
    for online, slow in (batch.views, batch.views[::-1]):
        p = F.normalize(method.predictor(method.embed(online)), dim=1)
        t = F.normalize(method.target(slow), dim=1).detach()
        want = want + (p - t).square().sum(1).mean()
    torch.testing.assert_close(method(batch).loss, want)


def test_views_may_be_exchanged():
    """B6."""
    method, batch = a_method(), a_batch()
    other = batch._replace(views=batch.views[::-1])
    torch.testing.assert_close(method(batch).loss, method(other).loss)


def test_the_target_gets_no_gradient_and_has_no_predictor():
    """B2."""
    method = a_method()
    method(a_batch()).loss.backward()
    assert all(each.grad is None for each in method.target.parameters())
    count = len(list(method.backbone.parameters())) + len(list(method.projector.parameters()))
    assert len(list(method.target.parameters())) == count


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_target_moves_by_its_schedule(schedule):
    """B3, B4."""
    method = a_method(decay=0.8, schedule=schedule)
    left = 1.0
    start = [each.clone() for each in method.target.parameters()]
    with torch.no_grad():
        for parameter in (*method.backbone.parameters(), *method.projector.parameters()):
            parameter.add_(1)
    for step in range(1, 5):
        method.after_step(Step(torch.zeros(())), step / 4)
        left *= cosine_decay(0.8, step / 4) if schedule == "cosine" else 0.8
    fast = [*method.backbone.parameters(), *method.projector.parameters()]
    for now, then, source in zip(method.target.parameters(), start, fast, strict=True):
        torch.testing.assert_close(now, left * then + (1 - left) * source)


def test_without_a_predictor_the_projection_itself_is_compared():
    method, batch = a_method(predict=False), a_batch()
    z1, z2 = (method.embed(view) for view in batch.views)
    t1, t2 = (method.target(view) for view in batch.views)
    cosines = F.cosine_similarity(z1, t2).mean() + F.cosine_similarity(z2, t1).mean()
    torch.testing.assert_close(method(batch).loss, 4 - 2 * cosines)


def test_heads_have_the_papers_form():
    """Linear, BN, ReLU, Linear without bias; 4096 inside for a ResNet-50's 2048."""
    method = a_method()
    for head, width in ((method.projector, method.backbone.dim), (method.predictor, 256)):
        first, norm, relu, last = head
        assert (first.in_features, first.out_features) == (width, 2 * method.backbone.dim)
        assert (last.out_features, last.bias) == (256, None)
        assert [type(norm).__name__, type(relu).__name__] == ["BatchNorm1d", "ReLU"]


@pytest.mark.parametrize("wrong", [{"decay": 1.5}, {"schedule": "linear"}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
