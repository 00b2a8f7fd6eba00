import math

import pytest
import torch

from lookalike.views.make import make_views
from lookalike.views.plans import (
    BYOL,
    EXEMPLAR,
    METRIC,
    PLANS,
    SIMCLR,
    SIMCLR_SMALL,
    SUPERVISED_SMALL,
    Plan,
    View,
)

# As the papers print them: smallest crop, jitter and its probability, grey, blur a view, solarise.
TABLE = {
    "npid": (0.2, (0.4, 0.4, 0.4, 0.4), 1.0, 0.2, [0.0], [0.0]),
    "moco_v1": (0.2, (0.4, 0.4, 0.4, 0.4), 1.0, 0.2, [0.0, 0.0], [0.0, 0.0]),
    "isif": (0.2, (0.4, 0.4, 0.4, 0.4), 1.0, 0.2, [0.0, 0.0], [0.0, 0.0]),
    "simclr": (0.08, (0.8, 0.8, 0.8, 0.2), 0.8, 0.2, [0.5, 0.5], [0.0, 0.0]),
    "simclr_small": (0.08, (0.4, 0.4, 0.4, 0.1), 0.8, 0.2, [0.0, 0.0], [0.0, 0.0]),
    "moco_v2": (0.2, (0.4, 0.4, 0.4, 0.1), 0.8, 0.2, [0.5, 0.5], [0.0, 0.0]),
    "simsiam": (0.2, (0.4, 0.4, 0.4, 0.1), 0.8, 0.2, [0.5, 0.5], [0.0, 0.0]),
    "moco_small": (0.08, (0.4, 0.4, 0.4, 0.1), 0.8, 0.2, [0.0, 0.0], [0.0, 0.0]),
    "simsiam_small": (0.2, (0.4, 0.4, 0.4, 0.1), 0.8, 0.2, [0.0, 0.0], [0.0, 0.0]),
    "byol": (0.08, (0.4, 0.4, 0.2, 0.1), 0.8, 0.2, [1.0, 0.1], [0.0, 0.2]),
    "moco_v3": (0.2, (0.4, 0.4, 0.2, 0.1), 0.8, 0.2, [1.0, 0.1], [0.0, 0.2]),
}


@pytest.mark.parametrize("name", TABLE)
def test_plans_are_the_papers(name):
    smallest, jitter, probability, grey, blur, solarise = TABLE[name]
    views = PLANS[name].views
    assert [view.blur for view in views] == blur
    assert [view.solarise for view in views] == solarise
    for view in views:
        assert (view.area, view.ratio, view.flip) == ((smallest, 1.0), (3 / 4, 4 / 3), 0.5)
        assert (view.jitter, view.jitter_probability, view.grey) == (jitter, probability, grey)
        assert (view.blur_sigma, view.blur_kernel) == ((0.1, 2.0), 0.1)
        assert view.solarise_threshold == 0.5


def test_cpc_shows_one_view_of_most_of_a_picture():
    """Section 3.2: 256 of 300 pixels, mirrored, grey; small ones keep colours, changed."""
    (view,) = PLANS["cpc"].views
    assert [math.sqrt(area) * 300 for area in view.area] == pytest.approx([256, 256])
    assert (view.ratio, view.flip, view.grey, view.jitter) == ((1, 1), 0.5, 1.0, (0, 0, 0, 0))
    (small,) = PLANS["cpc_small"].views
    assert (small.flip, small.grey) == (0.5, 0.25)
    assert (small.jitter, small.jitter_probability) == ((0.4, 0.4, 0.4, 0.2), 0.8)


def test_exemplar_is_the_papers():
    (view,) = EXEMPLAR.views
    assert (view.translation, view.scale, view.rotation) == (0.2, (0.7, 1.4), 20.0)
    assert (view.principal, view.tone, view.hue_shift) == ((0.5, 2.0), 1.0, 0.1)
    assert (view.tone_power, view.tone_factor, view.tone_shift) == ((0.25, 4.0), (0.7, 1.4), 0.1)
    nothing_else = View(
        **{
            name: getattr(view, name)
            for name in ("translation", "scale", "rotation", "principal", "tone", "hue_shift")
        }
    )
    assert view == nothing_else


@pytest.mark.parametrize("plan", PLANS.values(), ids=lambda plan: plan.name)
def test_only_exemplar_tints_and_only_classification_shifts_as_well(plan):
    for view in plan.views:
        warps = plan in (EXEMPLAR, SUPERVISED_SMALL)
        assert (view.warps, view.tints) == (warps, plan is EXEMPLAR)


def test_every_plan_goes_by_its_name():
    assert {plan.name for plan in PLANS.values()} == {
        "identity",
        "solved",
        "cpc",
        "cpc_small",
        "exemplar",
        "metric",
        "supervised",
        "supervised_small",
        *TABLE,
    }
    assert all(name == plan.name for name, plan in PLANS.items())


def test_only_simclr_and_solved_encoders_leave_pixels_unnormalised():
    plain = {name for name, plan in PLANS.items() if not plan.normalise}
    assert plain == {"identity", "solved", "simclr", "simclr_small"}


def test_small_simclr_is_half_as_strong_in_colour():
    halves = tuple(strength / 2 for strength in SIMCLR.views[0].jitter)
    assert SIMCLR_SMALL.views[0].jitter == halves


def test_with_changes_every_view_and_nothing_else():
    changed = BYOL.with_(grey=0.5, area=(0.3, 0.9))
    assert [(view.grey, view.area) for view in changed.views] == [(0.5, (0.3, 0.9))] * 2
    assert [view.blur for view in changed.views] == [1.0, 0.1]
    assert (changed.name, changed.normalise) == (BYOL.name, BYOL.normalise)


def test_with_names_an_unknown_field():
    with pytest.raises(ValueError, match="'gray'"):
        SIMCLR.with_(gray=0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"area": (0.0, 1.0)},
        {"area": (0.5, 1.1)},
        {"area": (0.9, 0.1)},
        {"ratio": (-1.0, 1.0)},
        {"interpolation": "nearest"},
        {"flip": 1.5},
        {"jitter": (0.4, 0.4, 0.4)},
        {"jitter": (-0.1, 0.0, 0.0, 0.0)},
        {"jitter": (0.0, 0.0, 0.0, 0.6)},
        {"jitter_probability": -0.1},
        {"grey": 2},
        {"blur": -1.0},
        {"blur_sigma": (0.0, 2.0)},
        {"blur_kernel": 0.0},
        {"solarise": 1.1},
        {"solarise_threshold": -0.5},
        {"translation": 1.5},
        {"scale": (0.0, 1.0)},
        {"rotation": -1.0},
        {"principal": (2.0, 0.5)},
        {"tone": 1.1},
        {"tone_power": (0.0, 4.0)},
        {"tone_factor": (-0.7, 1.4)},
        {"tone_shift": -0.1},
        {"hue_shift": 0.6},
    ],
)
def test_refuses_what_is_out_of_range(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be"):
        View(**wrong)


def test_a_plan_needs_a_view():
    with pytest.raises(ValueError, match="views must hold"):
        Plan("empty", (), normalise=False)


def test_metric_learning_crops_and_mirrors_one_view():
    """The Reality Check's RandomResizedCrop and flip, nothing else."""
    (view,) = METRIC.views
    assert (view.area, view.ratio, view.flip) == ((0.16, 1.0), (3 / 4, 4 / 3), 0.5)
    assert view == View(area=view.area, ratio=view.ratio, flip=view.flip, interpolation="bilinear")


DRAWN = {
    "area": (0.9, 0.9),
    "flip": 0.5,
    "translation": 0.1,
    "scale": (0.9, 1.1),
    "rotation": 5.0,
    "jitter": (0.0, 0.0, 0.0, 0.1),
    "principal": (0.5, 2.0),
    "tone": 1.0,
    "hue_shift": 0.1,
    "grey": 0.2,
    "blur": 1.0,
    "solarise": 0.2,
}
SETTLED = {
    "ratio": (3 / 4, 4 / 3),
    "flip": 1.0,
    "scale": (0.8, 0.8),
    "jitter_probability": 0.0,
    "principal": (2.0, 2.0),
    "grey": 1.0,
    "solarise": 1.0,
}


@pytest.mark.parametrize("field", DRAWN)
def test_one_thing_that_is_drawn_makes_a_view_random(field):
    assert View().fixed
    assert not View(**{field: DRAWN[field]}).fixed


def looks(view, epoch):
    """Return what a view shows of images of three shapes, in an epoch."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (9, 3, 25, 24), generator=generator, dtype=torch.uint8)
    sizes = torch.tensor([[25, 24], [24, 24], [13, 22]]).repeat(3, 1)
    plan, index = Plan("one", (view,), normalise=False), torch.arange(9)
    return make_views(plan, pixels, sizes, index, size=16, seed=3, epoch=epoch)[0]


@pytest.mark.parametrize("field", SETTLED)
def test_a_fixed_view_shows_an_image_alike_in_every_epoch(field):
    """Of an image that is a pixel higher than wide as well."""
    view = View(
        **{"jitter": (0.0, 0.3, 0.0, 0.0), "jitter_probability": 0.0} | {field: SETTLED[field]}
    )
    assert view.fixed
    first = looks(view, epoch=0)
    assert all(looks(view, epoch=epoch).equal(first) for epoch in range(1, 6))


@pytest.mark.parametrize("field", DRAWN)
def test_a_view_that_is_not_fixed_does_change(field):
    view = View(**{field: DRAWN[field]})
    assert any(not looks(view, epoch=epoch).equal(looks(view, epoch=0)) for epoch in range(1, 6))
