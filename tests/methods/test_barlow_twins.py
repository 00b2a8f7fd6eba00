import pytest
import torch

from lookalike.backbones.build import build_backbone
from lookalike.losses.barlow_twins import barlow_twins_loss
from lookalike.methods.barlow_twins import BarlowTwins
from lookalike.methods.base import Batch


def a_method(**arguments):
    torch.manual_seed(0)
    return BarlowTwins(build_backbone("small_conv", width=4), **arguments)


def a_batch(count=6):
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(2))
    return Batch(views, torch.arange(count), torch.arange(count))


def test_the_loss_is_its_objective_of_what_embed_returns():
    method, batch = a_method(redundancy=0.1, weight=0.5), a_batch()
    z1, z2 = map(method.embed, batch.views)
    want = 0.5 * barlow_twins_loss(z1, z2, redundancy=0.1)
    torch.testing.assert_close(method(batch).loss, want)


def test_a_step_can_be_taken_in_parts():
    method, batch = a_method(), a_batch()
    parts = method.compare(method.project(batch.views), batch)
    torch.testing.assert_close(parts.loss, method(batch).loss)


@pytest.mark.parametrize("wrong", [{"redundancy": -1}, {"weight": 0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
