import pytest
import torch
import torch.nn.functional as F

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.byol import BYOL
from lookalike.methods.mean_shift import MeanShift
from lookalike.pairwise.similarity import unit_rows


def a_method(kind=MeanShift, **arguments):
    torch.manual_seed(0)
    given = {"queue_size": 12, **arguments} if kind is MeanShift else arguments
    return kind(build_backbone("small_conv", width=4), **given)


def a_batch(count=6):
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(2))
    return Batch(views, torch.arange(count), torch.arange(count))


def test_the_loss_is_the_mean_squared_distance_from_the_neighbours_both_ways():
    method, batch = a_method(neighbours=4), a_batch()
    want = 0
    for one, other in (batch.views, batch.views[::-1]):
        p = F.normalize(method.predictor(method.embed(one)), dim=1)
        t = F.normalize(method.target(other), dim=1)
        for i in range(6):
            candidates = torch.cat([t[i : i + 1], method.queue.rows])  # itself is nearest
            nearest = candidates[(candidates @ t[i]).topk(4).indices]
            want = want + (nearest - p[i]).square().sum(1).mean() / 6
    torch.testing.assert_close(method(batch).loss, want)


def test_one_neighbour_is_byol_to_the_bit():
    ours = a_method(neighbours=1, out_dim=32, decay=0.9)
    byol = a_method(BYOL, out_dim=32, decay=0.9, schedule="constant")
    byol.load_state_dict({k: v for k, v in ours.state_dict().items() if "queue" not in k})
    for _ in range(3):
        steps = [method(a_batch()) for method in (ours, byol)]
        assert steps[0].loss.equal(steps[1].loss)
        for method, step in zip((ours, byol), steps, strict=True):
            step.loss.backward()
            with torch.no_grad():
                for parameter in method.parameters():
                    if parameter.grad is not None:
                        parameter.sub_(0.1 * parameter.grad)
                method.after_step(step, 0.5)


def test_copies_of_the_target_in_the_queue_change_nothing():
    """The k nearest are then the target k times."""
    method, batch = a_method(neighbours=2), a_batch()
    one = a_method(neighbours=1)
    targets = [unit_rows(method.target(view)) for view in batch.views]
    method.queue.enqueue(torch.cat(targets))
    torch.testing.assert_close(method(batch).loss, one(batch).loss)


def test_both_views_enter_the_queue_after_the_step_and_not_before():
    method, batch = a_method(), a_batch()
    before = method.queue.rows.clone()
    step = method(batch)
    assert method.queue.rows.equal(before)
    want = torch.cat([unit_rows(method.target(view)) for view in batch.views])
    method.after_step(step, 0.5)
    torch.testing.assert_close(method.queue.rows, want)


def test_the_slow_copy_gets_no_gradient():
    method = a_method()
    method(a_batch()).loss.backward()
    assert all(each.grad is None for each in method.target.parameters())


def test_the_queue_is_short_beside_the_data():
    sizes = {images: MeanShift.fit(images, 0)["queue_size"][0] for images in (10, 1000, 10**7)}
    assert sizes == {10: 64, 1000: 128, 10**7: 65536}


@pytest.mark.parametrize("wrong", [{"neighbours": 0}, {"neighbours": 14}, {"decay": 2}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
