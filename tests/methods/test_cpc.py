"""CPC keeps the contract; its targets, wrong answers and directions are where they should be."""

import math

import pytest
import torch
from torch import nn

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.cpc import CPC
from lookalike.testing import check_method

SMALL = {"patch": 4, "stride": 2, "width": 4, "depth": 1}  # 7 x 7 patches of 16 px


def a_method(**arguments):
    torch.manual_seed(0)
    return CPC(build_backbone("patches", **SMALL), **arguments)


def a_batch(count=4, side=16):
    generator = torch.Generator().manual_seed(1)
    views = (torch.rand(count, 3, side, side, generator=generator),)
    return Batch(views, torch.arange(count), torch.arange(count))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"steps": 3, "out_dim": 5},
        {"directions": "all", "colour_drop": 0.5, "steps": 2},
        {"context_dim": 12, "skip": 0, "jitter": 0.0, "blocks": 1},
    ],
)
def test_keeps_the_contract(arguments):
    check_method(lambda _: CPC(build_backbone("patches", **SMALL), **arguments))


@pytest.mark.parametrize(("steps", "skip"), [(5, 1), (3, 1), (2, 0), (1, 5)])
@pytest.mark.parametrize("out_dim", [None, 6])
def test_c3_c4_the_loss_is_that_of_a_slow_loop(steps, skip, out_dim):
    """Context row r predicts row r + skip + k; its own patch is the right one of all as far."""
    method = a_method(steps=steps, skip=skip, out_dim=out_dim).eval().double()
    batch = a_batch(count=2)
    images = batch.views[0].double()
    step = method(batch._replace(views=(images,)))
    with torch.no_grad():
        grid = method.backbone.grid(images)
        contexts, keys = method.context(grid), method.key(grid)
    total = 0.0
    for k in range(1, steps + 1):
        weight = method.predictors[0][k - 1].weight
        places = [
            (image, row, column)
            for image in range(2)
            for row in range(7 - skip - k)  # C3: so many rows are left
            for column in range(7)
        ]
        answers = torch.stack([keys[i, row + skip + k, column] for i, row, column in places])
        losses = []
        for right, (image, row, column) in enumerate(places):
            prediction = weight.detach() @ contexts[image, row, column]
            scores = answers @ prediction / math.sqrt(len(weight))
            losses.append(float(scores.logsumexp(0) - scores[right]))
        mean = sum(losses) / len(losses)
        bound = math.log(len(places)) - mean
        assert float(step.logs[f"information_{k}"]) == pytest.approx(bound, abs=1e-9)
        total += mean / steps
    assert step.loss.item() == pytest.approx(total)
    assert len(step.logs) == steps


def test_c1_predictions_of_nothing_are_blind_guesses():
    method = a_method(steps=2)
    for predictor in method.predictors[0]:
        nn.init.zeros_(predictor.weight)
    step = method(a_batch(count=4))
    places = [4 * 7 * rows for rows in (5, 4)]
    assert step.loss.item() == pytest.approx(sum(map(math.log, places)) / 2, abs=1e-5)
    for value in step.logs.values():
        assert float(value) == pytest.approx(0, abs=1e-5)


def test_c2_what_is_predicted_does_not_reach_its_predictor():
    """No context row gets a gradient from a prediction of the rows above it."""
    method = a_method(steps=1, skip=0, blocks=5)
    grid = torch.randn(2, 7, 7, 32, requires_grad=True)
    (query, _), *rest = method._pairs(grid, method.predictors[0])
    assert not rest
    rows = query.view(2, 6, 7, -1)
    for row in range(6):
        (gradient,) = torch.autograd.grad(rows[:, row].sum(), grid, retain_graph=True)
        assert gradient[:, : row + 1].any()
        assert not gradient[:, row + 1 :].any()


def test_c4_the_order_of_a_batch_does_not_matter():
    method, batch = a_method().eval(), a_batch(6)
    order = torch.randperm(6)
    shuffled = batch._replace(views=(batch.views[0][order],))
    torch.testing.assert_close(method(shuffled).loss, method(batch).loss)


def test_all_directions_are_one_on_an_image_turned():
    """With equal weights the four losses are those of the image in four positions."""
    method = a_method(directions="all", steps=2).eval()
    down = a_method(steps=2).eval()
    assert len(method.predictors) == 4
    grid = method.backbone.grid(a_batch().views[0]).detach()
    losses = []
    for turn, predictors in enumerate(method.predictors):
        down.load_state_dict(
            {
                **{name: t for name, t in method.state_dict().items() if "predictors" not in name},
                **{f"predictors.0.{name}": t for name, t in predictors.state_dict().items()},
            }
        )
        turned = torch.rot90(grid, turn, dims=(1, 2))
        down.backbone.grid = lambda images, change, turned=turned: turned
        losses.append(down(a_batch()).loss)
    torch.testing.assert_close(method(a_batch()).loss, torch.stack(losses).mean())
    assert len({loss.item() for loss in losses}) == 4  # and none counts for another


def test_directions_share_one_context_and_have_their_own_weights():
    count = {
        directions: sum(p.numel() for p in a_method(directions=directions).parameters())
        for directions in ("down", "all")
    }
    predictors = sum(p.numel() for p in a_method().predictors.parameters())
    assert count["all"] - count["down"] == 3 * predictors


def test_patches_are_changed_in_training_alone():
    method, batch = a_method(colour_drop=0.5), a_batch()
    assert method(batch).loss.item() != method(batch).loss.item()
    state = torch.get_rng_state()
    method.eval()
    assert method(batch).loss.item() == method(batch).loss.item()
    assert torch.get_rng_state().equal(state)
    seen = []
    method.backbone.grid = lambda images, change=None: (
        seen.append(change) or torch.rand(4, 7, 7, 32)
    )
    method(batch)
    method.train()(batch)
    assert [change is None for change in seen] == [True, False]
    changed = seen[1](torch.ones(500, 3, 16, 16))
    # a sixteenth of 16 px is one, of 4 px one as well
    assert (changed[:, :, -1] == 0).all()
    assert set((changed[:, :, 3, 3].sum(1)).tolist()) == {1.0, 3.0}


def test_several_views_are_several_images():
    method, batch = a_method().eval(), a_batch(6)
    halves = batch._replace(views=tuple(batch.views[0].chunk(2)))
    torch.testing.assert_close(method(halves).loss, method(batch).loss)


def test_embed_is_the_mean_patch():
    method = a_method()
    images = a_batch().views[0]
    mean = method.backbone.grid(images).flatten(1, 2).mean(1)
    torch.testing.assert_close(method.embed(images), mean)


def test_a_backbone_without_a_grid_is_refused():
    with pytest.raises(ValueError, match="backbone must have a grid, as patches has, got SmallCo"):
        CPC(build_backbone("small_conv", width=2))


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"skip": -1},
        {"directions": "up"},
        {"jitter": 1.5},
        {"colour_drop": -0.1},
        {"blocks": 0},
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)


def test_a_grid_too_small_is_refused():
    with pytest.raises(ValueError, match="steps must be below 4, the grid's 5 rows"):
        a_method(steps=4)(a_batch(side=12))
