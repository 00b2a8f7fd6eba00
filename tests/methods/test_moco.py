"""M1 to M8 of the property catalogue."""

import math

import pytest
import torch
from torch.nn import functional as F

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.moco import MoCo

COUNT = 8


def a_method(**arguments):
    torch.manual_seed(0)
    settings = {"queue_size": 20, "out_dim": 6, "splits": 1, "temperature": 0.2, **arguments}
    return MoCo(build_backbone("small_conv", width=4), **settings)


def a_batch(seed=1, count=COUNT):
    generator = torch.Generator().manual_seed(seed)
    views = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(2))
    return Batch(views, torch.arange(count), torch.arange(count))


def train(method, steps):
    parameters = [each for each in method.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    for number in range(steps):
        optimizer.zero_grad()
        step = method(a_batch(number))
        step.loss.backward()
        optimizer.step()
        method.after_step(step, (number + 1) / steps)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_the_loss_is_the_papers_cross_entropy(temperature):
    method, batch = a_method(temperature=temperature), a_batch()
    with torch.no_grad():
        key = F.normalize(method.key_encoder(batch.views[1]), dim=1)
    query = F.normalize(method.embed(batch.views[0]), dim=1)
    logits = torch.cat([(query * key).sum(1, keepdim=True), query @ method.queue.rows.T], 1)
    want = F.cross_entropy(logits / temperature, torch.zeros(COUNT, dtype=torch.int64))
    torch.testing.assert_close(method(batch).loss, want)


def test_queries_that_know_nothing_guess_among_the_queue_and_the_key():
    """M1: log(K + 1)."""
    method = a_method(queue_size=512)
    torch.nn.init.zeros_(method.projector[-1].weight)
    torch.nn.init.zeros_(method.projector[-1].bias)
    assert method(a_batch()).loss.item() == pytest.approx(math.log(513), rel=1e-5)


def test_own_key_among_orthogonal_ones():
    """M4: log(1 + K exp(-1 / T)), with the key encoder still equal to the query's."""
    method = a_method(out_dim=32, queue_size=16, temperature=0.3)
    view = a_batch().views[0]
    query = F.normalize(method.embed(view), dim=1).detach()
    basis = torch.linalg.qr(torch.cat([query.T, torch.randn(32, 24)], 1))[0]
    method.queue.rows.copy_(basis[:, COUNT : COUNT + 16].T)
    loss = method(Batch((view, view), torch.arange(COUNT), torch.arange(COUNT))).loss
    assert loss.item() == pytest.approx(math.log(1 + 16 * math.exp(-1 / 0.3)), rel=1e-4)


def test_the_gradient_reaches_the_query_alone():
    """M2."""
    method = a_method()
    method(a_batch()).loss.backward()
    assert all(parameter.grad is None for parameter in method.key_encoder.parameters())
    assert method.queue.rows.grad is None
    assert all(p.grad is not None for p in method.backbone.parameters())


def test_keys_enter_after_their_use_and_in_order():
    """M3: never among the negatives of their own step."""
    method, batch = a_method(), a_batch()
    before = method.queue.rows.clone()
    step = method(batch)
    assert method.queue.rows.equal(before)
    method.after_step(step, 0.1)
    (keys,) = step.carry
    assert method.queue.rows[:COUNT].equal(keys)
    assert method.queue.rows[COUNT:].equal(before[COUNT:])
    torch.testing.assert_close(keys.norm(dim=1), torch.ones(COUNT))


@pytest.mark.parametrize("count", [3, 8, 30])
def test_any_batch_size_fits_any_queue(count):
    method = a_method()
    for number in range(4):
        step = method(a_batch(number, count))
        method.after_step(step, 0.5)
    assert int(method.queue.place) == 4 * count % 20


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_the_key_encoder_is_an_average_of_the_query_encoder(momentum):
    """M5, against the recursion written out; 0 makes it equal, 1 leaves it."""
    method = a_method(momentum=momentum)
    slow = [each.clone() for each in method.key_encoder.parameters()]
    parameters = [each for each in method.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    for number in range(3):
        optimizer.zero_grad()
        step = method(a_batch(number))
        step.loss.backward()
        optimizer.step()
        method.after_step(step, 0.5)
        fast = [*method.backbone.parameters(), *method.projector.parameters()]
        slow = [momentum * old + (1 - momentum) * new for old, new in zip(slow, fast, strict=True)]
    for got, want in zip(method.key_encoder.parameters(), slow, strict=True):
        torch.testing.assert_close(got, want)


def test_keys_see_other_groups_than_queries():
    """M6: with several groups the same view gives another key than query; with one the same."""
    view = a_batch().views[0]
    for splits, same in ((1, True), (2, False)):
        method = a_method(splits=splits)
        key = method._key(view)
        query = F.normalize(method.embed(view), dim=1)
        assert torch.allclose(key, query, atol=1e-4) == same


def test_symmetric_is_both_ways():
    """M8: the sum of both, whichever comes first; and both keys enter."""
    first, second = a_batch().views
    index = torch.arange(COUNT)
    one, other = Batch((first, second), index, index), Batch((second, first), index, index)
    method, plain = a_method(symmetric=True), a_method()
    step = method(one)
    torch.testing.assert_close(step.loss, plain(one).loss + plain(other).loss)
    torch.testing.assert_close(method(other).loss, step.loss)
    method.after_step(step, 0.5)
    assert int(method.queue.place) == 2 * COUNT


def test_the_queue_is_neither_copied_nor_held():
    """No step allocates anything of the queue's size."""
    method = a_method(queue_size=50_000, out_dim=64)
    train(method, 1)
    before = method.queue.rows.data_ptr()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        train(method, 1)
    assert method.queue.rows.data_ptr() == before
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert 0 < largest < method.queue.rows.nbytes / 2


@pytest.mark.parametrize(("images", "size"), [(1_281_167, 65536), (50_000, 4096), (1546, 128)])
def test_the_queue_fits_the_data(images, size):
    assert MoCo.fit(images, 0)["queue_size"][0] == size


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"momentum": 2}, {"layers": 0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
