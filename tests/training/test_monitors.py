"""Readings at their closed forms, taken without moving any state."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from lookalike.backbones.base import Backbone
from lookalike.errors import TrainingError
from lookalike.methods.base import Method, Step
from lookalike.training.monitors import Monitors, refuse_collapse
from lookalike.views.plans import IDENTITY, SIMCLR_SMALL, Plan

COUNT, SIDE = 40, 8


class Pixels(Backbone):
    """The image itself, times a factor; 0 collapses it."""

    def __init__(self, factor=1.0):
        super().__init__(dim=3 * SIDE * SIDE)
        self.factor = factor
        self.norm = nn.BatchNorm1d(self.dim, affine=False)

    def forward(self, images):
        flat = images.flatten(1) - 0.5
        return self.norm(flat) if self.training else self.factor * flat + (1 - self.factor)


class Watched(Method):
    def forward(self, batch):
        return Step(self.backbone(batch.views[0]).mean())


def squares(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (COUNT, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)


def monitors(labels=None, plan=IDENTITY, images=None):
    return Monitors(
        squares() if images is None else images,
        np.full(COUNT, -1) if labels is None else labels,
        plan,
        seed=0,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
    )


def test_random_pixels_are_spread_and_equal_views_aligned():
    readings = monitors().read(Watched(Pixels()), torch.float32)
    assert set(readings) == {"spread", "rankme", "alignment", "uniformity", "view_retrieval_top1"}
    assert readings["spread"] == pytest.approx(1, abs=0.1)
    assert readings["alignment"] == pytest.approx(0, abs=1e-5)
    assert readings["view_retrieval_top1"] == 1
    assert readings["uniformity"] == pytest.approx(-4, abs=0.2)  # near orthogonal vectors
    assert COUNT / 2 < readings["rankme"] <= COUNT


def test_one_vector_for_all_is_a_collapse():
    readings = monitors().read(Watched(Pixels(0.0)), torch.float32)
    assert readings["spread"] == pytest.approx(0, abs=1e-3)
    assert readings["rankme"] == pytest.approx(1, abs=1e-3)
    assert readings["uniformity"] == pytest.approx(0, abs=1e-3)
    rows = [{"step": 1, **readings}, {"step": 2, **readings}]
    with pytest.raises(TrainingError, match=r"step 2.*collapsing"):
        refuse_collapse(rows)
    healthy = {"step": 1, "spread": 1.0, "rankme": 20.0}
    refuse_collapse(rows[:1])  # once is no collapse
    refuse_collapse([healthy, rows[1]])
    refuse_collapse([*rows, healthy])


def test_labels_make_neighbours_vote():
    labels = np.arange(COUNT) % 4
    images = torch.zeros(COUNT, 3, SIDE, SIDE, dtype=torch.uint8)
    for row, label in enumerate(labels):
        images[row, :, 2 * label] = 255  # a class is a line of its own
    readings = monitors(labels, images=images).read(Watched(Pixels()), torch.float32)
    assert readings["knn_top1"] == 1
    assert "view_retrieval_top1" not in readings


def test_reading_moves_nothing():
    method = Watched(Pixels())
    method(batch := type("B", (), {"views": (squares().float() / 255,)})())
    before = copy.deepcopy(method.state_dict())
    random_state = torch.get_rng_state()
    watch = monitors(plan=SIMCLR_SMALL)
    assert watch.read(method, torch.float32) == watch.read(method, torch.float32)
    assert method.training
    assert torch.get_rng_state().equal(random_state)
    for name, tensor in method.state_dict().items():
        assert tensor.equal(before[name])
    assert batch.views[0].shape[0] == COUNT


def test_a_plan_of_one_view_is_watched_in_two_draws():
    """Otherwise a view would be compared with itself, and always be found aligned."""
    one = Plan("one", SIMCLR_SMALL.views[:1], normalise=False)
    readings = monitors(plan=one).read(Watched(Pixels()), torch.float32)
    assert readings["alignment"] > 0.05
    assert "view_retrieval_top1" in readings
