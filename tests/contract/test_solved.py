"""Every encoder that is a file in `solved/` keeps the contract: reads, agrees, repeats, exports."""

import copy

import pytest
import torch

from lookalike import registry
from lookalike.backbones.build import build_backbone

from ..solved.conftest import Few, few

__all__ = ["few"]  # the fixture of the room itself

SMALL = {"filters": 6, "patches": (4, 3), "patch_count": 2000}


def names():
    return sorted(registry.names("solved"))


def solve(name, pictures):
    method = registry.load(registry.locate("solved", name))
    return method(**SMALL).solve(pictures)


@pytest.fixture(params=names())
def name(request):
    return request.param


@pytest.fixture
def pictures(few):
    few.pairs = torch.nonzero((few.labels[:, None] == few.labels[None, :]).triu(diagonal=1))
    return few


def test_it_can_be_built_again_from_its_name_and_weights(name, pictures):
    found = solve(name, pictures)
    again = build_backbone(found.name, **found.arguments)
    again.load_state_dict(found.backbone.state_dict())
    vectors = found.backbone(pictures.pictures)
    assert vectors.shape == (40, found.backbone.dim)
    assert torch.equal(again(pictures.pictures), vectors)


def test_the_same_seed_gives_the_same_bits(name, pictures):
    first = solve(name, pictures)
    pictures.kept = {}
    again = solve(name, pictures)
    for key, tensor in first.backbone.state_dict().items():
        assert torch.equal(tensor, again.backbone.state_dict()[key])


def test_the_pictures_are_only_read(name, pictures):
    before = pictures.pictures.clone()
    solve(name, pictures)
    assert torch.equal(pictures.pictures, before)


def test_parts_that_are_kept_are_all_it_takes(name, pictures):
    """Whoever has the parts needs no picture again, so a stop loses one part at most."""
    first = solve(name, pictures)
    later = copy.copy(pictures)
    later.blocks = Few.blocks.__get__(later)
    later.asked = []
    again = solve(name, later)
    assert later.asked == []
    for key, tensor in first.backbone.state_dict().items():
        assert torch.equal(tensor, again.backbone.state_dict()[key])


def test_a_block_is_a_block_whatever_its_neighbours(name, pictures):
    """A solution sums over blocks: in one or in many, it is the same but for the rounding."""
    whole = copy.copy(pictures)
    whole.kept, whole.block, whole.noise = {}, 40, 0.0
    pictures.noise = 0.0
    one, many = (solve(name, each).backbone(pictures.pictures) for each in (whole, pictures))
    assert torch.allclose(one, many, atol=1e-3 * float(one.detach().abs().max()))


def test_bfloat16_keeps_the_directions(name, pictures):
    network = solve(name, pictures).backbone
    exact = network(pictures.pictures)
    with torch.autocast("cpu", torch.bfloat16):
        low = network(pictures.pictures).float()
    assert torch.nn.functional.cosine_similarity(exact, low).min() > 0.98


def test_a_picture_that_is_not_finite_shows(name, pictures):
    network = solve(name, pictures).backbone
    broken = pictures.pictures[:2].clone()
    broken[0, 0, 3, 3] = float("nan")
    vectors = network(broken)
    assert not torch.isfinite(vectors[0]).all()
    assert torch.isfinite(vectors[1]).all()
