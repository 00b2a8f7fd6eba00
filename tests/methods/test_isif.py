import pytest
import torch

from lookalike.backbones.build import build_backbone
from lookalike.losses.spreading import spreading_loss
from lookalike.methods.base import Batch
from lookalike.methods.isif import ISIF


def a_method(**arguments):
    torch.manual_seed(0)
    return ISIF(build_backbone("small_conv", width=4), **arguments)


def a_batch(count=6):
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(2))
    return Batch(views, torch.arange(count), torch.arange(count))


@pytest.mark.parametrize("options", [{}, {"spread": 0.0}, {"stop_gradient": False}])
def test_the_loss_is_its_objective_of_what_embed_returns(options):
    method, batch = a_method(temperature=0.3, **options), a_batch()
    z1, z2 = method.embed(torch.cat(batch.views)).chunk(2)
    torch.testing.assert_close(
        method(batch).loss, spreading_loss(z1, z2, temperature=0.3, **options)
    )


def test_a_step_can_be_taken_in_parts():
    method, batch = a_method(), a_batch()
    parts = method.compare(method.project(batch.views), batch)
    torch.testing.assert_close(parts.loss, method(batch).loss)


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"spread": -1}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
