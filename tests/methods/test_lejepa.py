import pytest
import torch

from lookalike.backbones.build import build_backbone
from lookalike.losses.sigreg import sigreg_loss
from lookalike.methods.base import Batch, Step
from lookalike.methods.lejepa import LeJEPA


def a_method(**arguments):
    torch.manual_seed(0)
    given = {"hidden_dim": 16, "out_dim": 8, "directions": 32, **arguments}
    return LeJEPA(build_backbone("small_conv", width=4), **given)


def a_batch(*sides):
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.rand(6, 3, side, side, generator=generator) for side in sides or (16, 16))
    return Batch(views, torch.arange(6), torch.arange(6))


def test_the_loss_is_the_weighted_sum_of_its_terms():
    method, batch = a_method(regularity=0.3), a_batch()
    z1, z2 = map(method.embed, batch.views)
    lines = method._lines()
    regular = (sigreg_loss(z1, lines) + sigreg_loss(z2, lines)) / 2
    want = 0.7 * (z1 - z2).square().mean() / 4 + 0.3 * regular
    torch.testing.assert_close(method(batch).loss, want)


def test_equal_views_are_not_apart():
    method, batch = a_method(), a_batch()
    step = method(batch._replace(views=(batch.views[0],) * 2))
    assert step.logs["apart"].item() == 0


def test_the_mean_is_that_of_the_largest_views():
    method, batch = a_method(regularity=0.0), a_batch(16, 16, 8)
    z = torch.stack([method.embed(view) for view in batch.views])
    want = (z - (z[0] + z[1]) / 2).square().mean()
    torch.testing.assert_close(method(batch).loss, want)


def test_lines_are_unit_normal_and_new_in_every_step():
    method = a_method(directions=4000)
    first = method._lines()
    torch.testing.assert_close(first.norm(dim=1), torch.ones(4000))
    torch.testing.assert_close(first.T @ first / 4000, torch.eye(8) / 8, atol=0.01, rtol=0)
    assert method._lines().equal(first)
    method.after_step(Step(torch.zeros(())), 0.5)
    assert (method._lines() * first).sum(1).abs().mean().item() < 0.4  # of any two: 0.27


@pytest.mark.parametrize("wrong", [{"directions": 0}, {"regularity": 1.5}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
