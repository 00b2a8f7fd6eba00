import pytest
import torch

from lookalike.backbones.build import build_backbone
from lookalike.losses.vicreg import vicreg_loss
from lookalike.methods.base import Batch
from lookalike.methods.vicreg import VICReg


def a_method(**arguments):
    torch.manual_seed(0)
    return VICReg(build_backbone("small_conv", width=4), **arguments)


def a_batch(count=6):
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(2))
    return Batch(views, torch.arange(count), torch.arange(count))


@pytest.mark.parametrize("weights", [{}, {"invariance": 1, "variance": 2, "covariance": 3}])
def test_the_loss_is_its_objective_of_what_embed_returns(weights):
    method, batch = a_method(**weights), a_batch()
    z1, z2 = map(method.embed, batch.views)
    torch.testing.assert_close(method(batch).loss, vicreg_loss(z1, z2, **weights))


def test_the_last_layer_is_neither_normalised_nor_shifted():
    """Batch normalisation there would hold every deviation at 1 by itself."""
    last = a_method().projector[-1]
    assert isinstance(last, torch.nn.Linear)
    assert last.bias is None


def test_the_log_tells_a_collapse():
    method = a_method()
    torch.nn.init.zeros_(method.projector[-1].weight)
    step = method(a_batch())
    assert step.logs["deviation"].item() == pytest.approx(0.01)
    assert step.loss.item() == pytest.approx(24.75)


def test_a_step_can_be_taken_in_parts():
    method, batch = a_method(), a_batch()
    parts = method.compare(method.project(batch.views), batch)
    torch.testing.assert_close(parts.loss, method(batch).loss)


@pytest.mark.parametrize("wrong", [{"invariance": -1}, {"variance": -1}, {"covariance": -1}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
