"""S1 to S5 of the property catalogue."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.simsiam import SimSiam
from lookalike.training.optim import sgd
from lookalike.training.schedule import own_rates, scale_rates


def a_method(**arguments):
    torch.manual_seed(0)
    return SimSiam(build_backbone("small_conv", width=4), **arguments)


def a_batch(count=6):
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(2))
    return Batch(views, torch.arange(count), torch.arange(count))


def test_the_loss_is_the_mean_of_both_ways():
    method, batch = a_method(), a_batch()
    z1, z2 = (method.embed(view) for view in batch.views)
    p1, p2 = method.predictor(z1), method.predictor(z2)
    want = -(F.cosine_similarity(p1, z2) + F.cosine_similarity(p2, z1)).mean() / 2
    torch.testing.assert_close(method(batch).loss, want)


def test_alike_is_minus_one():
    """S3: without a predictor, two equal views cannot do better."""
    method, view = a_method(predict=False), a_batch().views[0]
    batch = Batch((view, view), torch.arange(6), torch.arange(6))
    assert method(batch).loss.item() == pytest.approx(-1, abs=1e-6)


def gradient(method):
    method(a_batch()).loss.backward()
    return torch.cat([each.grad.flatten() for each in method.backbone.parameters()])


def test_the_target_is_a_constant():
    """S1, S2: without a predictor, stopping leaves half of the gradient and its direction."""
    stopped, whole = (gradient(a_method(predict=False, stop_gradient=s)) for s in (True, False))
    torch.testing.assert_close(stopped, whole / 2)
    stopped, whole = (gradient(a_method(stop_gradient=s)) for s in (True, False))
    assert float(F.cosine_similarity(stopped, whole, dim=0)) < 0.999


def test_the_predictors_rate_stays():
    """S5."""
    method = a_method()
    optimizer = sgd(method, method.constant_rate, lr=0.1)
    scale_rates(optimizer, own_rates(optimizer), 0.5)
    predictor = {id(each) for each in method.predictor.parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert group["lr"] == (0.1 if id(parameter) in predictor else 0.05)


@pytest.mark.parametrize(
    ("where", "counts"),
    [("none", (0, 0)), ("hidden", (2, 1)), ("projector", (3, 1)), ("all", (3, 2))],
)
def test_batch_norm_is_where_it_is_said_to_be(where, counts):
    method = a_method(batch_norm=where)
    for head, count in zip((method.projector, method.predictor), counts, strict=True):
        assert sum(isinstance(layer, nn.BatchNorm1d) for layer in head) == count


def test_heads_have_the_papers_form():
    """S5: no scale and centre at the projector's end; a bottleneck that ends in a bias."""
    method = a_method()
    norm = method.projector[-1]
    assert norm.weight is None
    assert norm.bias is None
    first, last = method.predictor[0], method.predictor[-1]
    assert first.out_features * 4 == first.in_features == last.out_features
    assert last.bias is not None


@pytest.mark.parametrize("wrong", [{"layers": 0}, {"batch_norm": "some"}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
