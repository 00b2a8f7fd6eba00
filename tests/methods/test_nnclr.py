import pytest
import torch
import torch.nn.functional as F

from lookalike.backbones.build import build_backbone
from lookalike.losses.info_nce import info_nce_loss
from lookalike.methods.base import Batch
from lookalike.methods.nnclr import NNCLR
from lookalike.pairwise.similarity import unit_rows


def a_method(**arguments):
    torch.manual_seed(0)
    return NNCLR(build_backbone("small_conv", width=4), **{"queue_size": 12, **arguments})


def a_batch(count=6):
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(2))
    return Batch(views, torch.arange(count), torch.arange(count))


def test_the_loss_is_the_papers_both_ways():
    method, batch = a_method(temperature=0.2), a_batch()
    want = 0
    for one, other in (batch.views, batch.views[::-1]):
        z = F.normalize(method.embed(one), dim=1)
        nearest = method.queue.rows[(z @ method.queue.rows.T).argmax(1)]
        p = F.normalize(method.predictor(method.embed(other)), dim=1)
        want = want + F.cross_entropy(nearest @ p.T / 0.2, torch.arange(6)) / 2
    torch.testing.assert_close(method(batch).loss, want)


def test_with_its_own_projections_in_the_queue_it_is_info_nce_to_the_bit():
    """As the nearest of each projection is itself: SimCLR's other way round, with a predictor."""
    method, batch = a_method(), a_batch()
    z1, z2 = (method.embed(view) for view in batch.views)
    p1, p2 = (method.predictor(z) for z in (z1, z2))
    method.queue.enqueue(unit_rows(torch.cat([z1, z2]).detach()))
    own, other = (unit_rows(z.detach()) for z in (z1, z2))
    want = (info_nce_loss(own, p2) + info_nce_loss(other, p1)) / 2
    assert method(batch).loss.equal(want)


def test_the_first_views_enter_the_queue_after_the_step_and_not_before():
    method, batch = a_method(), a_batch()
    before = method.queue.rows.clone()
    step = method(batch)
    assert method.queue.rows.equal(before)
    method.after_step(step, 0.5)
    want = unit_rows(method.embed(batch.views[0]))
    torch.testing.assert_close(method.queue.rows[:6], want)
    assert method.queue.rows[6:].equal(before[6:])


def test_the_queue_is_short_beside_the_data():
    sizes = {images: NNCLR.fit(images, 0)["queue_size"][0] for images in (10, 1000, 10**7)}
    assert sizes == {10: 64, 1000: 256, 10**7: 65536}


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"queue_size": 0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).removeprefix("queue_")):
        a_method(**wrong)
