"""SimCLR keeps the contract, and its step is the losses and heads it is made of."""

import pytest
import torch
from torch import nn

from lookalike.backbones.build import build_backbone
from lookalike.losses.margin import margin_loss
from lookalike.losses.nt_logistic import nt_logistic_loss
from lookalike.losses.nt_xent import nt_xent_loss
from lookalike.methods.base import Batch
from lookalike.methods.simclr import SimCLR
from lookalike.testing import check_method

OBJECTIVES = {
    "nt_xent": lambda z1, z2: nt_xent_loss(z1, z2, temperature=0.3),
    "nt_logistic": lambda z1, z2: nt_logistic_loss(z1, z2, temperature=0.3),
    "margin": lambda z1, z2: margin_loss(z1, z2, margin=0.2),
}


def a_method(**arguments):
    torch.manual_seed(0)
    return SimCLR(build_backbone("small_conv", width=4), **arguments)


def a_batch(count=6):
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(2))
    return Batch(views, torch.arange(count), torch.arange(count))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_keeps_the_contract(objective, layers):
    check_method(lambda backbone: SimCLR(backbone, objective=objective, layers=layers))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_loss_is_the_objective_of_what_embed_returns(objective):
    method = a_method(temperature=0.3, margin=0.2, objective=objective)
    batch = a_batch()
    z1, z2 = method.embed(torch.cat(batch.views)).chunk(2)
    torch.testing.assert_close(method(batch).loss, OBJECTIVES[objective](z1, z2))


def test_both_views_share_one_batch_normalisation():
    """Statistics of each view alone would give other projections: views of unlike brightness."""
    method = a_method()
    bright, dark = a_batch().views
    batch = Batch((bright, dark / 4), torch.zeros(6), torch.arange(6))
    together = torch.cat(method.project(batch.views))
    apart = torch.cat([method.embed(view) for view in batch.views])
    assert not torch.allclose(together, apart, atol=0.1)


def test_a_step_can_be_taken_in_parts():
    method = a_method()
    batch = a_batch()
    whole = method(batch).loss
    torch.testing.assert_close(method.compare(method.project(batch.views), batch).loss, whole)


@pytest.mark.parametrize(("layers", "linear"), [(0, 0), (1, 1), (2, 2), (3, 3)])
def test_layers_are_linear_layers(layers, linear):
    method = a_method(layers=layers, hidden_dim=12, out_dim=7)
    found = [layer for layer in method.projector.modules() if isinstance(layer, nn.Linear)]
    assert len(found) == linear
    width = method.embed(torch.rand(4, 3, 16, 16)).shape[1]
    assert width == (7 if layers else method.backbone.dim)
    assert all(layer.out_features == 12 for layer in found[:-1])


def test_dot_products_are_not_blind_to_length():
    batch = a_batch()
    losses = {}
    for normalise in (True, False):
        method = a_method(layers=1, normalise=normalise)
        z1, z2 = (z.detach() for z in method.project(batch.views))
        losses[normalise] = [
            float(method.compare((scale * z1, scale * z2), batch).loss) for scale in (1, 3)
        ]
    assert losses[True][0] == pytest.approx(losses[True][1], rel=1e-5)
    assert losses[False][0] != pytest.approx(losses[False][1], rel=1e-2)


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"layers": -1}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
