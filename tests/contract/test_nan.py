"""No loss hides a NaN: a run on broken numbers must stop, and it can only if it sees them."""

import importlib
import inspect
import pkgutil

import pytest
import torch

from lookalike import losses
from lookalike.losses.rkd import rkd_angle_loss, rkd_distance_loss, rkd_loss

ROWS, WIDTH = 8, 6


def losses_of_labelled_embeddings():
    """Return every public loss that takes (embeddings, labels) and needs no more."""
    found = {}
    for module in pkgutil.iter_modules(losses.__path__):
        for name, loss in vars(importlib.import_module(f"lookalike.losses.{module.name}")).items():
            if name.startswith("_") or not name.endswith("_loss"):
                continue
            needed = [
                each.name
                for each in inspect.signature(loss).parameters.values()
                if each.default is inspect.Parameter.empty
            ]
            if needed == ["embeddings", "labels"]:
                found[name] = loss
    return found


def losses_of_two_matrices():
    """Return every relational loss of distillation: a student's rows beside a teacher's."""

    return {"rkd": rkd_loss, "rkd_distance": rkd_distance_loss, "rkd_angle": rkd_angle_loss}


def broken(rows):
    """Return embeddings of which one row, or all, are NaN."""
    z = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(0))
    z[:rows] = torch.nan
    return z


@pytest.mark.parametrize("rows", [1, ROWS])
@pytest.mark.parametrize("name", losses_of_labelled_embeddings())
def test_a_loss_of_labels_shows_nan(name, rows):
    loss = losses_of_labelled_embeddings()[name]
    assert not loss(broken(rows), torch.arange(ROWS) % 2).isfinite()


@pytest.mark.parametrize("rows", [1, ROWS])
@pytest.mark.parametrize("name", losses_of_two_matrices())
def test_a_loss_of_relations_shows_nan(name, rows):
    loss, whole = losses_of_two_matrices()[name], broken(0)
    assert not loss(broken(rows), whole).isfinite()
    assert not loss(whole, broken(rows)).isfinite()
